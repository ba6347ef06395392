"""Several nodes on one machine, for the sections that need them."""

import contextlib
import http.client
import json
import shutil
import time

from harness import free_port, skep


def member_config(name, port, seeds, folder, serves, extra=""):
    agent = """
[agent.bench]
models = ["sim/small"]
cache = "CACHE"
[agent.bench.pool]
size_max = 32
""".replace("CACHE", "all" if "[cache]" in extra else "off")
    return f"""
[node]
name = "{name}"
[cluster]
name = "bench"
listen = "tcp://127.0.0.1:{port}"
seeds = {json.dumps(seeds)}
data_dir = "{folder}/votes"
replicas = 1
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 50
tokens_per_s = 0
{agent if serves else ""}
{extra}
"""


def cluster_state(port):
    with contextlib.suppress(OSError, ValueError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/cluster")
        return json.loads(connection.getresponse().read())
    return {}


@contextlib.contextmanager
def cluster(binary, folder, serving, extra=""):
    """One node per entry of `serving` (it has the agent, or not); gives children and ports."""
    shutil.rmtree(folder / "votes", ignore_errors=True)
    ports = [free_port() for _ in serving]
    names = "abcdefgh"[:len(serving)]
    seeds = [f"{name}=tcp://127.0.0.1:{port}" for name, port in zip(names, ports)]
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(skep(
            binary, folder, member_config(name, port, seeds, folder, serves, extra), name))
            for name, port, serves in zip(names, ports, serving)]
        deadline = time.monotonic() + 15
        for _, http_port in nodes:
            while len(cluster_state(http_port).get("view", {}).get("members", [])) < len(serving):
                if time.monotonic() > deadline:
                    raise SystemExit("the cluster did not come up")
                time.sleep(0.02)
        yield nodes
