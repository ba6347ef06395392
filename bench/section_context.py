"""What putting a request together costs, with and without the memory of contexts."""

from harness import program_rows, say


def run(bench):
    say("context: assembling requests with tools, each time and remembered")
    program_rows([bench.program("skep_context_bench")])
