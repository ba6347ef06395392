"""The second cache level: a Redis on this machine against a shard's actor and the bare store."""

import subprocess

from harness import free_port, program_rows, say, wait_for_port

TOOLS = ("redis-server",)


def run(bench):
    say("redis: gets and puts of three sizes at pipelining depths 1, 16 and 64")
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "",
               "--appendonly", "no", "--dir", str(bench.folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as redis:
        try:
            wait_for_port(port)
            program_rows([bench.program("skep_redis_bench"), "--port", str(port)])
        finally:
            redis.kill()
