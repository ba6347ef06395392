"""Runs what was built against an installed skep: `outside`, and the agent of docs/own-agent.md."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

DEADLINE_S = 30


def ask(address, path, question):
    request = urllib.request.Request(f"http://{address}{path}", json.dumps(question).encode(),
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return answer.read().decode()


def wait_for(path, child):
    """The first line of a file that another process is about to write."""
    until = time.monotonic() + DEADLINE_S
    while not os.path.exists(path):
        assert child.poll() is None, "the node ended"
        assert time.monotonic() < until, "the node is not ready"
        try:
            child.wait(0.02)
        except subprocess.TimeoutExpired:
            pass
    with open(path, encoding="utf-8") as file:
        return file.readline().strip()


def check_own_agent(program, config):
    assert subprocess.check_output([program, "--version"], text=True) == "own-agent 1.0\n"
    subprocess.check_call([program, "check", config])
    assert subprocess.call([program, "run", "/nonexistent.toml"]) == 2
    with tempfile.TemporaryDirectory() as folder:
        ready = os.path.join(folder, "ready")
        child = subprocess.Popen(
            [program, "run", config, "--listen", "127.0.0.1:0", "--ready-file", ready])
        try:
            address = wait_for(ready, child)
            question = {"model": "shout", "messages": [{"role": "user", "content": "hello"}]}
            whole = json.loads(ask(address, "/v1/chat/completions", question))
            assert whole["choices"][0]["message"]["content"] == "HELLO", whole
            stream = ask(address, "/v1/chat/completions", {**question, "stream": True})
            assert "HELLO" in stream and stream.endswith("data: [DONE]\n\n"), stream
            message = json.loads(ask(address, "/v1/messages", {**question, "max_tokens": 9}))
            assert message["content"] == [{"type": "text", "text": "HELLO"}], message
            response = ask(address, "/v1/responses", {"model": "shout", "input": "hello"})
            assert "HELLO" in response, response
            child.send_signal(signal.SIGTERM)
            assert child.wait(DEADLINE_S) == 0
        finally:
            child.kill()


if __name__ == "__main__":
    subprocess.check_call([sys.argv[1]])
    check_own_agent(sys.argv[2], sys.argv[3])
    print("ok: the own agent of the documentation")
