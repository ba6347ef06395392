"""What clients feel of a node that is killed."""

import http.client
import threading
import time

from harness import REQUEST, RUNS, row, say
from harness_cluster import cluster


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


def run(bench):
    say("failover: kill -9 of one of two nodes that serve, clients of a third")
    longest, failures = [], []
    for _ in range(RUNS):
        with cluster(bench.binary, bench.folder, [False, True, True]) as nodes:
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
