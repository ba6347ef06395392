#!/usr/bin/env python3
"""Runs the benchmarks and prints the table: ./dev bench [--quick] [--json FILE] [SECTION...].

A section is a file section_NAME.py here with `def run(bench)`, which adds rows (harness.py), and
`TOOLS`, the programs it needs; its name on the command line has `-` for `_`. Every figure comes
from at least five runs, what it is compared with measured in turn with it; only the replay, which
gives the same every time, runs once. A spread above 30 % is said beside the figure."""

import argparse
import importlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from harness import Bench, rows

# What is cheap and tells most comes first, then the others by name.
FIRST = ["core", "gateway", "cache"]


def find_sections():
    """The modules of the sections by name, in the order they are run."""
    files = Path(__file__).parent.glob("section_*.py")
    names = [file.stem.removeprefix("section_").replace("_", "-") for file in files]
    names.sort(key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return {name: importlib.import_module("section_" + name.replace("-", "_")) for name in names}


def print_table():
    width = max(len(each["name"]) for each in rows)
    print(f"\n{'figure':<{width}}  {'median':>12}  {'min':>12}  {'max':>12}  unit")
    for each in rows:
        note = each["note"]
        if each["spread"] > 0.3 and each["runs"] > 1:
            note = f"{note}; spread {each['spread']:.0%}".lstrip("; ")
        print(f"{each['name']:<{width}}  {each['median']:>12,.4g}  {each['min']:>12,.4g}  "
              f"{each['max']:>12,.4g}  {each['unit']:<6} {note}")


def main():
    sections = find_sections()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build/release"))
    parser.add_argument("--quick", action="store_true", help="shorter runs, for a first look")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("names", nargs="*", help=", ".join(sections))
    options = parser.parse_args()
    if unknown := set(options.names) - set(sections):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    wanted = {name: section for name, section in sections.items()
              if not options.names or name in options.names}
    os.environ["PATH"] += ":/usr/sbin"
    for tool in {tool for section in wanted.values() for tool in getattr(section, "TOOLS", ())}:
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is missing; ./dev bench installs it")
    for section in wanted.values():
        with tempfile.TemporaryDirectory(prefix="skep-bench-") as folder:
            section.run(Bench(options.build, Path(folder), 1 if options.quick else 3,
                              options.quick))
    if rows:
        print_table()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
