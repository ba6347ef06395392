"""What a node adds to the time to the first token."""

import http.client
import json
import statistics
import time

from harness import REQUEST, RUNS, SIMULATED, proxy_config, row, say, skep


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


def run(bench):
    say("time to first token: straight to the upstream, and through a node")
    added = []
    with skep(bench.binary, bench.folder, SIMULATED, "upstream") as (_, up), \
            skep(bench.binary, bench.folder, proxy_config(up)) as (_, ours):
        for _ in range(RUNS):
            direct = first_token_us(up)
            added.append(first_token_us(ours) - direct)
    row("time to first token added", "us", added, "target <= 1000")
