"""Requests per second of one, two and three nodes."""

from harness import RUNS, post_script, row, say, wrk
from harness_cluster import cluster

TOOLS = ("wrk",)


def run(bench):
    say("nodes: requests/s through one door, pools of 32 agents on 1, 2 and 3 nodes, 50 ms each")
    script = post_script(bench.folder)
    rates = {count: [] for count in (1, 2, 3)}
    for _ in range(RUNS):
        for count in rates:
            with cluster(bench.binary, bench.folder, [True] * count) as nodes:
                rates[count].append(wrk(nodes[0][1], 32 * count, bench.seconds, script)[0])
    for count, values in rates.items():
        row(f"requests/s, {count} node{'s' if count > 1 else ''}", "1/s", values)
    row("requests/s, 3 nodes / 1 node", "ratio", [c / a for a, c in zip(rates[1], rates[3])])
