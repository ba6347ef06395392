"""The store of a cache shard by itself: speed, memory, compression."""

from harness import program_rows, say

SIZES = ("100 B", "1 KiB", "16 KiB", "64 B to 16 KiB, turned over")


def run(bench):
    say("cache-store: gets and puts of the bare store, bytes counted, compression")
    targets = {f"bytes counted / resident memory, {size}": "target 0.9 to 1.1" for size in SIZES}
    for form in ("JSON", "chat_reply"):
        targets[f"compression, {form} of a short answer, zstd with a dictionary"] = "target >= 3"
    program_rows([bench.program("skep_cache_bench"), "--json"], targets)
