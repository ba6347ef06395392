"""What the sections of the benchmark share: rows of figures, and the processes they load."""

import contextlib
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RUNS = 5
REQUEST = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "hello"}]})
ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "bench",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello to you " * 8},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 24, "total_tokens": 33}})

rows = []


@dataclass(frozen=True)
class Bench:
    """What a section is run with: its file has `def run(bench)`."""
    build: Path
    # An empty folder for its files.
    folder: Path
    # How long one load is kept up.
    seconds: int
    quick: bool

    @property
    def binary(self):
        return str(self.build / "skep")

    def program(self, name):
        return str(self.build / "bench" / name)


def say(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


def row(name, unit, values, note=""):
    """A figure with its spread; values of one run each."""
    median = statistics.median(values)
    spread = (max(values) - min(values)) / median if median else 0
    rows.append({"name": name, "unit": unit, "median": median, "min": min(values),
                 "max": max(values), "runs": len(values), "spread": spread, "note": note})


def program_rows(command, targets=None):
    """Figures that a program of bench/ prints, a line of JSON each; ends the run when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    for line in done.stdout.splitlines():
        if not line.startswith("{"):
            continue
        figure = json.loads(line)
        spread = (figure["max"] - figure["min"]) / figure["median"] if figure["median"] else 0
        rows.append({**figure, "spread": spread, "note": (targets or {}).get(figure["name"], "")})
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.01)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def process(command, **options):
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             **options)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
        if child.poll() is None:
            child.kill()


@contextlib.contextmanager
def nginx(folder):
    """Answers every request with the same completion."""
    port = free_port()
    config = folder / "nginx.conf"
    temp = "\n".join(f"{kind}_temp_path {folder}/{kind};"
                     for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(f"""
daemon off; pid {folder}/nginx.pid; worker_processes 1; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; {temp}
  server {{ listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{ANSWER}'; }} }} }}""")
    with process(["nginx", "-e", "stderr", "-c", str(config)]):
        wait_for_port(port)
        yield port


@contextlib.contextmanager
def haproxy(folder, upstream):
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(f"""
global
  maxconn 4096
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
frontend door
  bind 127.0.0.1:{port}
  default_backend model
backend model
  http-reuse always
  server one 127.0.0.1:{upstream}
""")
    with process(["haproxy", "-db", "-f", str(config)]):
        wait_for_port(port)
        yield port


@contextlib.contextmanager
def skep(binary, folder, config, name="skep"):
    """A node; gives its process and its port."""
    file = folder / f"{name}.toml"
    ready = folder / f"{name}.ready"
    ready.unlink(missing_ok=True)
    file.write_text(config + '\n[log]\nlevel = "warn"\n')
    command = [binary, "run", str(file), "--listen", "127.0.0.1:0", "--ready-file", str(ready)]
    with process(command) as child:
        deadline = time.monotonic() + 10
        while not ready.exists():
            if time.monotonic() > deadline or child.poll() is not None:
                raise SystemExit(f"the node {name} did not start")
            time.sleep(0.0005)
        yield child, int(ready.read_text().rsplit(":", 1)[1])


def proxy_config(upstream):
    return f"""
[provider.up]
kind = "openai"
base_urls = ["http://127.0.0.1:{upstream}/v1"]
[agent.bench]
models = ["up/bench"]
cache = "off"
[cache]
shards = 0
"""


SIMULATED = """
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 0
tokens_per_s = 0
[agent.bench]
models = ["sim/small"]
cache = "all"
"""


def wrk(port, connections, seconds, script):
    """(requests per second, median latency in microseconds)"""
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{port}/v1/chat/completions"],
        capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"the load failed:\n{out}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", out).groups()
    return rate, float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def post_script(folder):
    script = folder / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
                      f"wrk.body = '{REQUEST}'\n")
    return script


def resident_mb(child):
    text = Path(f"/proc/{child.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) / 1024
