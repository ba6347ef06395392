#!/usr/bin/env python3
"""Checks what no compiler checks: arrows between folders, heavy headers, sizes, banned words.

Usage: scripts/tidy.py [ROOT]. Prints `file:line: message` and exits 1 when a rule is broken.
CONTRIBUTING.md explains the rules; scripts/tidy_test.py proves that each can fail.

A single line may be excused from a rule that reads lines by a comment on it that says why:
`tidy: allow RULE, REASON`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

LINES_MAX = 500
HEADER_LINES_MAX = 150
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
CLANG_FORMAT_MAJOR = 14

SKIPPED_FOLDERS = {"build", "node_modules", "__pycache__", "corpus", ".git", ".cache"}
CPP = {".cpp", ".hpp"}
TEXT = CPP | {".py", ".sh", ".cmake", ".txt", ".toml", ".json", ".md", ".js", ".mjs", ".yml"}

# -- Arrows: what a room may include besides itself ------------------------------------------------

PLAIN_MESSAGES = {"messages/errc.hpp", "messages/failure.hpp", "messages/ids.hpp"}
BASE = {"messages", "runtime/base"}
BELOW_ACTOR = BASE | {"runtime/telemetry", "runtime/flow"}
BELOW_CLUSTER = BELOW_ACTOR | {"runtime/actor", "runtime/net", "runtime/io"}
RUNTIME = BELOW_CLUSTER | {
    "runtime/json", "runtime/config", "runtime/store", "runtime/testing", "runtime/cluster",
    "runtime/node"}
ARROWS = {
    "messages": set(),
    "runtime/base": {"messages"},
    "runtime/json": {"runtime/base"},
    "runtime/config": BASE,
    "runtime/telemetry": BASE,
    "runtime/flow": {"runtime/base"},
    "runtime/store": {"runtime/base"},
    "runtime/net": BELOW_ACTOR,
    # SQL adapters serve the durable-store interface.
    "runtime/io": BELOW_ACTOR | {"runtime/net", "runtime/store"},
    "runtime/actor": BELOW_ACTOR,
    "runtime/cluster": BELOW_CLUSTER,
    # The test system runs every test over the wire as well, so it sits above cluster.
    "runtime/testing": BELOW_CLUSTER | {"runtime/cluster"},
    "runtime/node": RUNTIME,
    # Pure: no actor, no socket.
    "apis": BASE | {"runtime/json"},
    "program": RUNTIME | {"apis", "actors", "actors/*"},
    "cli": RUNTIME | {"apis", "actors", "actors/*", "program"},
    "actors": RUNTIME | {"apis", "actors/*"},
    "actors/*": RUNTIME | {"apis"},
    "bench": RUNTIME | {"apis", "actors", "actors/*", "program", "cli", "tests"},
    "examples": RUNTIME | {"apis", "actors", "actors/*", "program"},
    "tests": RUNTIME | {"apis", "actors", "actors/*", "program", "cli", "bench", "examples"},
}
# Pure rooms see only these headers of messages/, nothing that travels.
PURE = {"runtime/json", "runtime/flow", "runtime/store"}

# -- Heavy headers: who may name a library, and who may have it in a header ------------------------


@dataclass(frozen=True)
class Library:
    """A library that costs seconds per file. `headers` are the rooms whose headers may include it,
    as long as no file of a room outside `rooms` reaches such a header."""
    name: str
    include: re.Pattern
    rooms: set[str]
    headers: set[str] = field(default_factory=set)
    extra: set[str] = field(default_factory=set)  # Single files that may name it as well.
    through: set[str] = field(default_factory=set)  # Rooms that may reach it through our headers.


CAF_ROOMS = {"runtime/actor", "runtime/testing", "runtime/cluster", "runtime/node", "actors",
             "actors/*", "bench", "examples"}
LIBRARIES = [
    # runtime/base wraps CAF's errors and printing in these two, which only CAF's rooms include.
    Library("CAF", re.compile(r"caf/"), CAF_ROOMS, CAF_ROOMS,
            {"runtime/base/caf_error.hpp", "runtime/base/caf_error.cpp",
             "runtime/base/inspect.hpp"},
            {"cli", "program"}),
    Library("spdlog", re.compile(r"spdlog/"), {"runtime/base"}),
    Library("msgpack", re.compile(r"msgpack"), {"messages", "runtime/cluster", "bench"},
            {"messages"}),
    Library("ZeroMQ", re.compile(r"zmq"), {"runtime/net", "bench"}, {"runtime/net"}),
    Library("curl", re.compile(r"curl/"), {"runtime/net"}, {"runtime/net"}),
    Library("Boost", re.compile(r"boost/"), {"runtime/net"}, {"runtime/net"}),
    Library("toml++", re.compile(r"toml\+\+/|toml\.hpp"), {"runtime/config"}, {"runtime/config"}),
    Library("hiredis", re.compile(r"hiredis/"), {"runtime/io"}),
    Library("SQLite", re.compile(r"sqlite3"), {"runtime/io"}),
    Library("CLI11", re.compile(r"CLI/"), {"program", "cli"}, {"cli"}),
    Library("nlohmann/json", re.compile(r"nlohmann/"),
            {"messages", "runtime/base", "runtime/json", "runtime/config", "runtime/telemetry",
             "runtime/net", "runtime/cluster", "runtime/node", "apis", "actors", "actors/*", "cli",
             "bench", "examples"},
            {"actors/*", "cli"}),
]

# -- Lines that must not be there ------------------------------------------------------------------

# Written in pieces, so that this file keeps its own rule.
BANNED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK|st" r"ub|place" r"holder|"
                    r"not imple" r"mented)\b")
PICTOGRAM = re.compile("[\U0001F000-\U0001FAFF\u2600-\u27BF]")
SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|(?<![\w.])sleep\s*\(|time\.sleep")
PORT = re.compile(r"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\]|listen[_-]?port\D{1,4})"
                  r":?(\d{4,5})\b|\blisten\((\d{4,5})\b")
# Texts that are parsed and never bound live here.
PORT_FREE = ("tests/unit/config/", "tests/unit/cli/")
MUTEX = re.compile(r"\bstd::(\w*mutex|condition_variable\w*)\b")
ATOMIC_SHARED = re.compile(r"atomic\s*<\s*(std::)?shared_ptr")
INFINITE = re.compile(r"\bcaf::infinite\b")
ALLOWED = re.compile(r"tidy: allow (\w+), \S")
# In a header that has to be long, because it is all templates: the limit of a source file holds.
SIZE_ALLOWED = re.compile(r"tidy: allow size, \S")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


@dataclass(frozen=True, order=True)
class Finding:
    file: str
    line: int
    message: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.message}"


@dataclass
class Source:
    """One file: its path from the root, its room, its lines and what it includes (line, name)."""
    path: str
    lines: list[str]
    ours: list[tuple[int, str]] = field(default_factory=list)
    theirs: list[tuple[int, str]] = field(default_factory=list)

    @property
    def suffix(self):
        return Path(self.path).suffix

    @property
    def room(self):
        return room_of(self.path)

    def in_tests(self):
        return self.path.startswith("tests/")

    def __post_init__(self):
        if self.suffix not in CPP:
            return
        for number, line in enumerate(self.lines, 1):
            if found := INCLUDE.match(line):
                ours, theirs = found.groups()
                (self.ours if ours else self.theirs).append((number, ours or theirs))


def room_of(path):
    """The room a path lies in: `runtime/flow`, `actors/cache`, `messages`, …; "" for none."""
    parts = path.split("/")
    if parts[0] == "runtime" and len(parts) > 2:
        return "/".join(parts[:2])
    if parts[0] == "actors" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if len(parts) > 1 else ""


def general(room):
    """Every kind of actor has the same rights, so they share one row: `actors/*`."""
    return "actors/*" if room.startswith("actors/") else room


def read_tree(root):
    sources = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if SKIPPED_FOLDERS & set(relative.parts) or not path.is_file():
            continue
        if path.suffix not in TEXT and relative.name not in ("dev", "run"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        sources[relative.as_posix()] = Source(relative.as_posix(), text.splitlines())
    return sources


def shared_between_kinds(source, target):
    """Kinds of actors know each other's messages only; but what several share lies in actors/
    itself, and a role's one file puts kinds together."""
    return source.room.startswith("actors/") and (
        target == "actors" or general(target) == "actors/*" and source.path.endswith("/role.cpp"))


def check_arrows(source, _sources):
    own = general(source.room)
    if own not in ARROWS:
        return
    for line, name in source.ours:
        target = room_of(name)
        if not target or target == source.room or shared_between_kinds(source, target):
            continue
        if own in PURE and name in PLAIN_MESSAGES:
            continue
        if general(target) not in ARROWS[own]:
            yield Finding(source.path, line, f"{source.room} may not include {target} ({name})")


def check_include_names(source, sources):
    """Ours are named from the root, so that a file reads the same wherever it lies."""
    for line, name in source.ours:
        if name not in sources:
            yield Finding(source.path, line, f'no "{name}" below the root; theirs take <…>')
    for line, name in source.theirs:
        if name == "caf/all.hpp":
            yield Finding(source.path, line, "caf/all.hpp costs 4 s per file; include the parts")


def names_library(source, library):
    return any(library.include.match(name) for _, name in source.theirs)


def check_heavy(source, sources):
    """A library is named in its rooms only: in sources, or in headers the room keeps to itself."""
    if source.suffix not in CPP or source.in_tests() or not source.room:
        return
    own = general(source.room)
    for library in LIBRARIES:
        may = own in library.rooms or source.path in library.extra
        for line, name in source.theirs:
            if not library.include.match(name):
                continue
            if not may:
                yield Finding(source.path, line, f"{library.name} belongs to "
                              f"{', '.join(sorted(library.rooms))} ({name})")
            elif source.suffix == ".hpp" and own not in library.headers \
                    and source.path not in library.extra:
                yield Finding(source.path, line, f"{library.name} only in a .cpp here ({name})")
        if not may and own not in library.through:
            yield from check_reach(source, library, sources)


def check_reach(source, library, sources):
    """A file outside of the library's rooms must not get it through a header of ours either."""
    for line, first in source.ours:
        queue, seen = [first], set()
        while queue:
            name = queue.pop()
            if name in seen or name not in sources:
                continue
            seen.add(name)
            if names_library(sources[name], library):
                yield Finding(source.path, line, f"{first} pulls in {library.name} by {name}")
                break
            queue.extend(inner for _, inner in sources[name].ours)


def check_sizes(source, _sources):
    if source.suffix not in CPP:
        return
    short = source.suffix == ".hpp" and not any(SIZE_ALLOWED.search(each) for each in source.lines)
    most = HEADER_LINES_MAX if short else LINES_MAX
    if len(source.lines) > most:
        yield Finding(source.path, len(source.lines), f"{len(source.lines)} lines, at most {most}")
    if source.suffix == ".hpp" and "#pragma once" not in source.lines:
        yield Finding(source.path, 1, "a header needs #pragma once")
    for line, length in functions("\n".join(source.lines)):
        if length > FUNCTION_LINES_MAX:
            yield Finding(source.path, line,
                          f"a function of {length} lines, at most {FUNCTION_LINES_MAX}")


# -- Functions by a scan of the braces -------------------------------------------------------------

HIDDEN = re.compile(
    r'R"(?P<d>[^()\\\s]{0,16})\(.*?\)(?P=d)"'      # raw string
    r'|"(?:[^"\\\n]|\\.)*"'                          # string
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+'"          # character; not the ' of 1'000
    r"|//[^\n]*|/\*.*?\*/"                           # comments
    r"|^[ \t]*#(?:[^\n\\]|\\.)*",                    # preprocessor, continued lines too
    re.DOTALL | re.MULTILINE)
OPENS_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b|\bextern\s*$")
ALIGNED = re.compile(r"\balignas\s*\([^()]*\)")


def blank(text):
    """`text` without comments, strings and preprocessor lines; every line stays where it was."""
    return HIDDEN.sub(lambda found: "\n" * found.group().count("\n"), text)


def opens_scope(head):
    """Whether `head {` opens a namespace or a type; `void f(struct x y) {` does not."""
    return OPENS_SCOPE.search(ALIGNED.sub("", head).rpartition(")")[2]) is not None


def goes_on(code, end):
    """Whether the block that ended at `end` was an initialiser: `: a_{1}, b_{2} {` goes on."""
    return code[end + 1:end + 80].lstrip()[:1] in (",", "{")


def functions(text):
    """(first line, lines) of every brace block that stands where a function's body does."""
    code = blank(text)
    line, start, depth, head = 1, 0, 0, ""
    for at, char in enumerate(code):
        line += char == "\n"
        if depth:
            depth += {"{": 1, "}": -1}.get(char, 0)
            if depth == 0:
                yield start, line - start + 1
                head = head if goes_on(code, at) else ""
        elif char == "{" and opens_scope(head):
            head = ""
        elif char == "{" and "(" in ALIGNED.sub("", head):
            depth, start = 1, line
        elif char in ";}":
            head = ""
        else:
            head += char


# -- Rules that read one line ----------------------------------------------------------------------


def line_rules(source):
    """(rule, pattern, message) of each rule about single lines that holds in this file."""
    path, suffix = source.path, source.suffix
    yield "word", BANNED, "open ends go into an issue, not into the tree"
    yield "pictogram", PICTOGRAM, "no pictograms"
    if source.in_tests() and suffix in CPP | {".py"}:
        yield "sleep", SLEEP, "tests do not sleep: virtual time, or an event with a deadline"
    if source.in_tests() and not path.startswith(PORT_FREE):
        yield "port", PORT, "no fixed ports in tests: bind port 0 and ask for the number"
    if path.startswith("actors/"):
        yield "mutex", MUTEX, "no mutex in actors/: state belongs to one actor"
    if suffix in CPP:
        yield "atomic", ATOMIC_SHARED, "std::atomic<std::shared_ptr> locks on every read"
        if not source.in_tests():
            yield "infinite", INFINITE, "every wait has a deadline"


def check_lines(source, _sources):
    if source.suffix == ".json" or source.path == "LICENSE":
        return
    rules = list(line_rules(source))
    measured = source.suffix in CPP | {".py", ".cmake", ".sh"} or source.suffix == ""
    for number, line in enumerate(source.lines, 1):
        excuse = ALLOWED.search(line)
        allowed = excuse.group(1) if excuse else ""
        if measured and len(line) > COLUMNS_MAX and allowed != "columns":
            yield Finding(source.path, number, f"{len(line)} columns, at most {COLUMNS_MAX}")
        for rule, pattern, message in rules:
            if rule != allowed and pattern.search(line):
                yield Finding(source.path, number, f"{message} [{rule}]")


# -- Formatting ------------------------------------------------------------------------------------


def clang_format():
    """The clang-format whose output the tree follows, or None: other versions format otherwise."""
    for name in (f"clang-format-{CLANG_FORMAT_MAJOR}", "clang-format"):
        program = shutil.which(name)
        if program:
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if f"version {CLANG_FORMAT_MAJOR}." in version:
                return program
    return None


def check_format(root, sources):
    program = clang_format()
    files = [s.path for s in sources.values() if s.suffix in CPP]
    if not program or not files or not (root / ".clang-format").exists():
        return
    run = subprocess.run([program, "--dry-run", "-ferror-limit=1", *files],
                         cwd=root, capture_output=True, text=True)
    for path, line in re.findall(r"^(\S+?):(\d+):\d+: warning: code should be", run.stderr, re.M):
        yield Finding(path, int(line), "not formatted; run ./dev format")


CHECKS = [check_arrows, check_include_names, check_heavy, check_sizes, check_lines]


def check_tree(root):
    sources = read_tree(root)
    findings = set()
    for source in sources.values():
        for check in CHECKS:
            findings.update(check(source, sources))
    first_of_file = {}
    for f in check_format(root, sources):
        first_of_file.setdefault(f.file, f)
    return sorted(findings | set(first_of_file.values())), len(sources)


def main(arguments):
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    findings, count = check_tree(root)
    for finding in findings:
        print(finding)
    print(f"tidy: {count} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
