"""A cache hit on another node."""

import http.client
import json
import statistics
import time

from harness import RUNS, row, say
from harness_cluster import cluster


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


def run(bench):
    say("cache: a hit at the node that owns it and from another node, near-cache off")
    added = []
    with cluster(bench.binary, bench.folder, [True, True], "[cache]\nnear_bytes = 0\n") as nodes:
        for number in range(RUNS * 2):
            prompt = f"question {number}"
            both = [hit_us(port, prompt) for _, port in nodes]
            added.append(max(both) - min(both))
    row("cache hit from another node, added", "us", added)
