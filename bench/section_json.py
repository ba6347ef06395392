"""What reading and writing a chat's body costs, as it grows."""

from harness import program_rows, say


def run(bench):
    say("json: bodies of 1, 10 and 100 kB, checked, read and written")
    program_rows([bench.program("skep_json_bench")])
