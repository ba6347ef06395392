"""Messages between two processes."""

from harness import program_rows, say


def run(bench):
    say("wire: messages between two processes against CAF's BASP and raw ZeroMQ")
    targets = {"64 bytes between processes, skep / BASP": "target >= 5",
               "64 bytes between processes, skep / ZeroMQ": "target >= 0.4",
               "16384 bytes between processes, skep / ZeroMQ": "target >= 0.7",
               "round trip between processes, skep / BASP": "target <= 0.5",
               "round trip, flooded / quiet": "target <= 2"}
    program_rows([bench.program("skep_wire_bench")], targets)
