"""Cache hits over HTTP against a static reply."""

from harness import RUNS, SIMULATED, nginx, post_script, row, say, skep, wrk

TOOLS = ("nginx", "wrk")


def run(bench):
    say("cache hits against nginx's static reply")
    script = post_script(bench.folder)
    hits, static, ratio = [], [], []
    with nginx(bench.folder) as up, \
            skep(bench.binary, bench.folder, SIMULATED) as (_, ours):
        wrk(ours, 1, 1, script)
        for _ in range(RUNS):
            static.append(wrk(up, 32, bench.seconds, script)[0])
            hits.append(wrk(ours, 32, bench.seconds, script)[0])
            ratio.append(hits[-1] / static[-1])
    row("cache hits over HTTP, c=32", "1/s", hits)
    row("nginx static reply, c=32", "1/s", static)
    row("cache hits / nginx static", "ratio", ratio, "target >= 0.5")
