"""Spawns, pools, mailboxes, the codec, the picker, the cache and the policy of an upstream."""

from harness import program_rows, say


def run(bench):
    say("core: spawns, pools, mailboxes, codec, picker, cache, upstream policy")
    program_rows([bench.program("skep_core_bench")])
