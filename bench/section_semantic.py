"""The semantic cache: what a lookup costs, and how often it would answer wrongly."""

import json
import subprocess
from pathlib import Path

from harness import RUNS, row, say

PAIRS = Path(__file__).parent / "data" / "semantic_pairs.tsv"
UNITS = {"scan": "vectors of 256 dimensions scanned",
         "scan_cpu": "vectors of 256 dimensions scanned, processor time",
         "embed": "bytes embedded lexically",
         "guard": "bytes signed by the guard"}


def figures(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def lookups(program, quick):
    latencies = {}
    for _ in range(1 if quick else RUNS):
        for each in figures(program, "lookup"):
            name = f"semantic: {each['entries']:,} {UNITS[each['what']]}"
            for share in ("p50", "p99"):
                latencies.setdefault(f"{name}, {share}", []).append(each[f"us_{share}"])
    for name, values in latencies.items():
        row(name, "us", values)


def pairs(program):
    for each in figures(program, "pairs", str(PAIRS)):
        note = f"{each['false']} of {each['hits']} hits; {each['recall_percent']} % of " \
               f"{each['same']} paraphrases found"
        if each["kinds"]:
            note += "; " + ", ".join(f"{kind} {count}" for kind, count in each["kinds"].items())
        row(f"semantic: false hits at {each['threshold']:.2f}, guard {each['guard']}", "%",
            [each["false_percent"]], note)


def run(bench):
    say("semantic: lookups, and false hits on labelled pairs")
    program = bench.program("skep_semantic_bench")
    lookups(program, bench.quick)
    pairs(program)
