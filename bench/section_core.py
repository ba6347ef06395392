"""Spawns, pools, mailboxes, the codec, the picker and the cache, without HTTP."""

from harness import program_rows, say


def run(bench):
    say("core: spawns, pools, mailboxes, codec, picker, cache")
    program_rows([bench.program("skep_core_bench")])
