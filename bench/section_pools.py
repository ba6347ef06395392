"""Connection pools under steps of load, what they cost a transfer, and outlier detection a pick."""

from harness import program_rows, say


def run(bench):
    say("pools: steps of load up and down, throughput, outlier detection")
    program_rows([bench.program("skep_pool_bench")])
