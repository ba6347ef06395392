#!/usr/bin/env python3
"""Runs the benchmarks and prints the table: ./dev bench [--quick] [--json FILE] [NAME...].

Every figure comes from at least five runs, what it is compared with measured in turn with it. A
spread above 30 % is said beside the figure."""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

RUNS = 5
REQUEST = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "hello"}]})
ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "bench",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello to you " * 8},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 24, "total_tokens": 33}})

rows = []


def say(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


def row(name, unit, values, note=""):
    """A figure with its spread; values of one run each."""
    median = statistics.median(values)
    spread = (max(values) - min(values)) / median if median else 0
    rows.append({"name": name, "unit": unit, "median": median, "min": min(values),
                 "max": max(values), "runs": len(values), "spread": spread, "note": note})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.01)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def process(command, **options):
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             **options)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
        if child.poll() is None:
            child.kill()


@contextlib.contextmanager
def nginx(folder):
    """Answers every request with the same completion."""
    port = free_port()
    config = folder / "nginx.conf"
    temp = "\n".join(f"{kind}_temp_path {folder}/{kind};"
                     for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(f"""
daemon off; pid {folder}/nginx.pid; worker_processes 1; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; {temp}
  server {{ listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{ANSWER}'; }} }} }}""")
    with process(["nginx", "-e", "stderr", "-c", str(config)]):
        wait_for_port(port)
        yield port


@contextlib.contextmanager
def haproxy(folder, upstream):
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(f"""
global
  maxconn 4096
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
frontend door
  bind 127.0.0.1:{port}
  default_backend model
backend model
  http-reuse always
  server one 127.0.0.1:{upstream}
""")
    with process(["haproxy", "-db", "-f", str(config)]):
        wait_for_port(port)
        yield port


@contextlib.contextmanager
def skep(binary, folder, config, name="skep"):
    """A node; gives its process and its port."""
    file = folder / f"{name}.toml"
    ready = folder / f"{name}.ready"
    ready.unlink(missing_ok=True)
    file.write_text(config + '\n[log]\nlevel = "warn"\n')
    command = [binary, "run", str(file), "--listen", "127.0.0.1:0", "--ready-file", str(ready)]
    with process(command) as child:
        deadline = time.monotonic() + 10
        while not ready.exists():
            if time.monotonic() > deadline or child.poll() is not None:
                raise SystemExit(f"the node {name} did not start")
            time.sleep(0.0005)
        yield child, int(ready.read_text().rsplit(":", 1)[1])


def proxy_config(upstream):
    return f"""
[provider.up]
kind = "openai"
base_urls = ["http://127.0.0.1:{upstream}/v1"]
[agent.bench]
models = ["up/bench"]
cache = false
[cache]
shards = 0
"""


SIMULATED = """
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 0
tokens_per_s = 0
[agent.bench]
models = ["sim/small"]
"""


def wrk(port, connections, seconds, script):
    """(requests per second, median latency in microseconds)"""
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{port}/v1/chat/completions"],
        capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"the load failed:\n{out}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", out).groups()
    return rate, float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def post_script(folder):
    script = folder / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
                      f"wrk.body = '{REQUEST}'\n")
    return script


def resident_mb(child):
    text = Path(f"/proc/{child.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) / 1024


def bench_core(build, names):
    say("core: spawns, pools, mailboxes, codec, picker, cache")
    for name in names or [None]:
        command = [str(build / "bench" / "skep_core_bench")] + ([name] if name else [])
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            if line.startswith("{"):
                figure = json.loads(line)
                spread = ((figure["max"] - figure["min"]) / figure["median"]
                          if figure["median"] else 0)
                rows.append({**figure, "spread": spread, "note": ""})


def bench_gateway(binary, folder, seconds):
    say("gateway: added latency and throughput against HAProxy, same upstream")
    script = post_script(folder)
    added, added_ha, ratio_latency, rates, rates_ha, ratio_rates = ([] for _ in range(6))
    with nginx(folder) as up, haproxy(folder, up) as ha, \
            skep(binary, folder, proxy_config(up)) as (_, ours):
        for _ in range(RUNS):
            direct = wrk(up, 1, seconds, script)[1]
            through_ha = wrk(ha, 1, seconds, script)[1] - direct
            through_us = wrk(ours, 1, seconds, script)[1] - direct
            added.append(through_us)
            added_ha.append(through_ha)
            ratio_latency.append(through_us / through_ha)
            rate_ha, rate = wrk(ha, 32, seconds, script)[0], wrk(ours, 32, seconds, script)[0]
            rates.append(rate)
            rates_ha.append(rate_ha)
            ratio_rates.append(rate / rate_ha)
    row("gateway, added latency at c=1, median", "us", added)
    row("HAProxy, added latency at c=1, median", "us", added_ha)
    row("added latency, skep / HAProxy", "ratio", ratio_latency, "target <= 4")
    row("gateway, requests at c=32", "1/s", rates)
    row("HAProxy, requests at c=32", "1/s", rates_ha)
    row("requests at c=32, skep / HAProxy", "ratio", ratio_rates)


def bench_cache(binary, folder, seconds):
    say("cache hits against nginx's static reply")
    script = post_script(folder)
    hits, static, ratio = [], [], []
    with nginx(folder) as up, skep(binary, folder, SIMULATED) as (_, ours):
        wrk(ours, 1, 1, script)
        for _ in range(RUNS):
            static.append(wrk(up, 32, seconds, script)[0])
            hits.append(wrk(ours, 32, seconds, script)[0])
            ratio.append(hits[-1] / static[-1])
    row("cache hits over HTTP, c=32", "1/s", hits)
    row("nginx static reply, c=32", "1/s", static)
    row("cache hits / nginx static", "ratio", ratio, "target >= 0.5")


def first_token_us(port, count=300):
    """Median time from the request to the first byte of the streamed body's first token."""
    body = json.dumps({**json.loads(REQUEST), "stream": True})
    connection = http.client.HTTPConnection("127.0.0.1", port)
    samples = []
    for number in range(count):
        start = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body,
                           {"content-type": "application/json", "cache-control": "no-store"})
        answer = connection.getresponse()
        answer.readline()
        samples.append((time.perf_counter() - start) * 1e6)
        answer.read()
        del number
    return statistics.median(samples)


def bench_first_token(binary, folder):
    say("time to first token: straight to the upstream, and through a node")
    added = []
    with skep(binary, folder, SIMULATED, "upstream") as (_, up), \
            skep(binary, folder, proxy_config(up)) as (_, ours):
        for _ in range(RUNS):
            direct = first_token_us(up)
            added.append(first_token_us(ours) - direct)
    row("time to first token added", "us", added, "target <= 1000")


def bench_process(binary, folder, seconds, settle):
    say("cold start and resident memory")
    starts = []
    for _ in range(10):
        begin = time.monotonic()
        with skep(binary, folder, SIMULATED):
            starts.append((time.monotonic() - begin) * 1e3)
    row("cold start until ready", "ms", starts, "target <= 300")
    script = post_script(folder)
    with skep(binary, folder, SIMULATED) as (child, port):
        row("resident memory, idle", "MB", [resident_mb(child)], "target <= 40")
        wrk(port, 64, seconds * 4, script)
        row("resident memory, under load", "MB", [resident_mb(child)])
        time.sleep(settle)
        row(f"resident memory, {settle} s after load", "MB", [resident_mb(child)])


def bench_wire(build):
    say("wire: messages between two processes against CAF's BASP and raw ZeroMQ")
    out = subprocess.run([str(build / "bench" / "skep_wire_bench")], capture_output=True, text=True,
                         check=True).stdout
    targets = {"64 bytes between processes, skep / BASP": "target >= 5",
               "64 bytes between processes, skep / ZeroMQ": "target >= 0.4",
               "16384 bytes between processes, skep / ZeroMQ": "target >= 0.7",
               "round trip between processes, skep / BASP": "target <= 0.5",
               "round trip, flooded / quiet": "target <= 2"}
    for line in out.splitlines():
        figure = json.loads(line)
        spread = (figure["max"] - figure["min"]) / figure["median"] if figure["median"] else 0
        rows.append({**figure, "spread": spread, "note": targets.get(figure["name"], "")})


def member_config(name, port, seeds, folder, serves, extra=""):
    agent = """
[agent.bench]
models = ["sim/small"]
cache = CACHE
[agent.bench.pool]
size_max = 32
""".replace("CACHE", "true" if "[cache]" in extra else "false")
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


def bench_nodes(binary, folder, seconds):
    say("nodes: requests/s through one door, pools of 32 agents on 1, 2 and 3 nodes, 50 ms each")
    script = post_script(folder)
    rates = {count: [] for count in (1, 2, 3)}
    for _ in range(RUNS):
        for count in rates:
            with cluster(binary, folder, [True] * count) as nodes:
                rates[count].append(wrk(nodes[0][1], 32 * count, seconds, script)[0])
    for count, values in rates.items():
        row(f"requests/s, {count} node{'s' if count > 1 else ''}", "1/s", values)
    row("requests/s, 3 nodes / 1 node", "ratio", [c / a for a, c in zip(rates[1], rates[3])])


def ask_until(port, stop, felt, failed):
    """Asks again and again; notes how long each answer took and when it was asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while not stop.is_set():
        begin = time.monotonic()
        connection.request("POST", "/v1/chat/completions", REQUEST,
                           {"content-type": "application/json", "cache-control": "no-store"})
        answer = connection.getresponse()
        answer.read()
        felt.append((begin, time.monotonic() - begin))
        if answer.status != 200:
            failed.append(answer.status)


def bench_failover(binary, folder):
    say("failover: kill -9 of one of two nodes that serve, clients of a third")
    longest, failures = [], []
    for _ in range(RUNS):
        with cluster(binary, folder, [False, True, True]) as nodes:
            stop, felt, failed = threading.Event(), [], []
            clients = [threading.Thread(target=ask_until, args=(nodes[0][1], stop, felt, failed))
                       for _ in range(8)]
            for each in clients:
                each.start()
            time.sleep(1)
            nodes[1][0].kill()
            time.sleep(5)
            stop.set()
            for each in clients:
                each.join()
            longest.append(max(took for _, took in felt) * 1e3)
            failures.append(len(failed))
    row("failover, the longest any request took", "ms", longest, "target <= 5000")
    row("failover, failed requests", "", failures, "target 0")


def hit_us(port, prompt, count=200):
    body = json.dumps({"model": "bench", "messages": [{"role": "user", "content": prompt}]})
    connection = http.client.HTTPConnection("127.0.0.1", port)
    samples = []
    for _ in range(count):
        begin = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body,
                           {"content-type": "application/json"})
        connection.getresponse().read()
        samples.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(samples)


def bench_remote_cache(binary, folder):
    say("cache: a hit at the node that owns it and from another node, near-cache off")
    added = []
    with cluster(binary, folder, [True, True], "[cache]\nnear_bytes = 0\n") as nodes:
        for number in range(RUNS * 2):
            prompt = f"question {number}"
            both = [hit_us(port, prompt) for _, port in nodes]
            added.append(max(both) - min(both))
    row("cache hit from another node, added", "us", added)


def bench_replay(build):
    if "SKEP_DATA" not in os.environ:
        say("replay: SKIPPED, SKEP_DATA is not set (bench/cache_replay.cpp says what it must hold)")
        return
    say("replay: hit ratios on real traces; fails when they are off the published ones")
    out = subprocess.run([str(build / "bench" / "skep_cache_replay")], capture_output=True,
                         text=True, check=True).stdout
    for line in out.splitlines()[1:]:
        trace, entries, lru, s3_fifo = line.split()
        row(f"hits on {trace}, {entries} entries, LRU", "%", [float(lru)])
        row(f"hits on {trace}, {entries} entries, S3-FIFO", "%", [float(s3_fifo)])


def print_table():
    width = max(len(each["name"]) for each in rows)
    print(f"\n{'figure':<{width}}  {'median':>12}  {'min':>12}  {'max':>12}  unit")
    for each in rows:
        note = each["note"]
        if each["spread"] > 0.3 and each["runs"] > 1:
            note = f"{note}; spread {each['spread']:.0%}".lstrip("; ")
        print(f"{each['name']:<{width}}  {each['median']:>12,.4g}  {each['min']:>12,.4g}  "
              f"{each['max']:>12,.4g}  {each['unit']:<6} {note}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build/release"))
    parser.add_argument("--quick", action="store_true", help="shorter runs, for a first look")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("names", nargs="*", help="core, gateway, cache, first-token, process, "
                        "wire, nodes, failover, remote-cache, replay")
    options = parser.parse_args()
    for tool in ("wrk", "haproxy", "nginx"):
        if not shutil.which(tool) and not Path(f"/usr/sbin/{tool}").exists():
            raise SystemExit(f"{tool} is missing; ./dev bench installs it")
    os.environ["PATH"] += ":/usr/sbin"
    binary = str(options.build / "skep")
    seconds = 1 if options.quick else 3
    wanted = set(options.names
                 or ["core", "gateway", "cache", "first-token", "process", "wire", "nodes",
                     "failover", "remote-cache", "replay"])
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as temp:
        folder = Path(temp)
        if "core" in wanted:
            bench_core(options.build, [])
        if "gateway" in wanted:
            bench_gateway(binary, folder, seconds)
        if "cache" in wanted:
            bench_cache(binary, folder, seconds)
        if "first-token" in wanted:
            bench_first_token(binary, folder)
        if "process" in wanted:
            bench_process(binary, folder, seconds, 5 if options.quick else 60)
        if "wire" in wanted:
            bench_wire(options.build)
        if "nodes" in wanted:
            bench_nodes(binary, folder, seconds)
        if "failover" in wanted:
            bench_failover(binary, folder)
        if "remote-cache" in wanted:
            bench_remote_cache(binary, folder)
        if "replay" in wanted:
            bench_replay(options.build)
    print_table()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
