"""Cold start and resident memory."""

import time

from harness import SIMULATED, post_script, resident_mb, row, say, skep, wrk

TOOLS = ("wrk",)


def run(bench):
    settle = 5 if bench.quick else 60
    say("cold start and resident memory")
    starts = []
    for _ in range(10):
        begin = time.monotonic()
        with skep(bench.binary, bench.folder, SIMULATED):
            starts.append((time.monotonic() - begin) * 1e3)
    row("cold start until ready", "ms", starts, "target <= 300")
    script = post_script(bench.folder)
    with skep(bench.binary, bench.folder, SIMULATED) as (child, port):
        row("resident memory, idle", "MB", [resident_mb(child)], "target <= 40")
        wrk(port, 64, bench.seconds * 4, script)
        row("resident memory, under load", "MB", [resident_mb(child)])
        time.sleep(settle)
        row(f"resident memory, {settle} s after load", "MB", [resident_mb(child)])
