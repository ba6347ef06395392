"""Hit ratios of the eviction policies on recorded requests."""

from harness import program_rows, say


def run(bench):
    say("replay: hit ratios on recorded requests; fails when they are off the published ones")
    # Once: the replay gives the same every time.
    program_rows([bench.program("skep_cache_replay"), "--json"])
