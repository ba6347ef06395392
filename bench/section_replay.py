"""Hit ratios of the eviction policies on recorded requests."""

import os
import subprocess

from harness import program_rows, say


def run(bench):
    command = [bench.program("skep_cache_replay"), "--json"]
    if not os.environ.get("SKEP_DATA"):
        # The program says what is missing and where it is from.
        say("replay: SKIPPED, SKEP_DATA is not set\n" + subprocess.run(
            command, capture_output=True, text=True, check=True).stdout)
        return
    say("replay: hit ratios on recorded requests; fails when they are off the published ones")
    # Once: the replay gives the same every time.
    program_rows(command)
