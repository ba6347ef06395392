// A node's life: outage and fallback, overload, kills, drain, configuration, bad input.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { command, eventually, SkepNode, source, upstreamConfig } from "./support/node.mjs";
import { Upstream } from "./support/upstream.mjs";

const simulated = (options = "", agent = "") => `
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 5
tokens_per_s = 2000
${options}
[agent.assistant]
models = ["sim/small"]
cache = "off"
${agent}
[node]
debug_kill = true
`;

/// Asks `at_once` at a time until `stop()`; gives every answer's status and body.
async function load(node, atOnce, stop, model = "assistant") {
  const answers = [];
  await Promise.all(Array.from({ length: atOnce }, async (_, lane) => {
    for (let n = 0; !stop(); n += 1) {
      const answer = await node.chat(model, `lane ${lane} question ${n}`);
      answers.push({ status: answer.status, headers: answer.headers, body: await answer.json() });
    }
  }));
  return answers;
}

test("the shipped development node answers, streams and says it is simulated", async () => {
  const node = await SkepNode.start(path.join(source, "configs/dev.toml"));
  const answer = await (await node.chat("assistant", "hello")).json();
  assert.match(answer.choices[0].message.content, /^\[simulated\] /);
  const stream = await (await node.chat("assistant", "hello", { stream: true })).text();
  assert.ok(stream.endsWith("data: [DONE]\n\n"));
  assert.equal((await fetch(`${node.url}/health`)).status, 200);
  assert.equal((await (await fetch(`${node.url}/ready`)).json()).status, "ready");
  assert.match(await (await fetch(`${node.url}/metrics`)).text(), /# TYPE skep_http_requests_total counter/);
  const shown = command("status", node.url);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /: ready \(skep /);
  assert.equal(await node.stop(), 0);
});

test("a provider's outage opens its circuit, the next one answers, and it comes back", async () => {
  const first = await new Upstream().start();
  const second = await new Upstream().start();
  const node = await SkepNode.start(`
[provider.first]
kind = "openai"
base_urls = ["${first.url}"]
attempts_max = 1
[provider.first.breaker]
failures_max = 3
open_min_ms = 300
open_max_ms = 300
[provider.second]
kind = "openai"
base_urls = ["${second.url}"]
[agent.helper]
models = ["first/echo", "second/echo"]
cache = "off"
`);
  const from = async (text) => {
    const answer = await node.chat("helper", text);
    assert.equal(answer.status, 200);
    await answer.text();
    return answer.headers.get("x-skep-provider");
  };
  assert.equal(await from("before"), "first");
  first.down = true;
  for (let n = 0; n < 10; n += 1) assert.equal(await from(`during ${n}`), "second");
  assert.ok(first.requests.length < 10, "the circuit kept calls away from the provider");
  assert.equal(await node.metric("skep_breaker_state", { name: "provider/first" }), 1);
  first.down = false;
  await eventually("the first provider answers again", async () => (await from("after")) === "first");
  assert.equal(await node.metric("skep_breaker_state", { name: "provider/first" }), 0);
  assert.equal(await node.stop(), 0);
  await first.stop();
  await second.stop();
});

test("ten times the load gets answers or refusals that say when, and nothing grows", async () => {
  const node = await SkepNode.start(simulated("", "[agent.assistant.pool]\nsize_max = 8\nidle_min = 2"));
  const memory = node.residentMb();
  const until = Date.now() + 1500;
  const answers = await load(node, 80, () => Date.now() > until);
  const refused = answers.filter((answer) => answer.status !== 200);
  assert.ok(answers.length > refused.length, "some are served");
  assert.ok(refused.length > 0, "some are refused");
  for (const answer of refused) {
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    assert.deepEqual(Object.keys(answer.body.error).sort(), ["code", "message", "param", "type"]);
  }
  assert.ok(node.residentMb() < memory + 40);
  assert.equal((await node.chat("assistant", "afterwards")).status, 200);
  assert.equal(await node.stop(), 0);
});

test("whichever actor is killed under load, every request is answered and service goes on", async () => {
  const node = await SkepNode.start(simulated());
  for (const name of ["agent/assistant", "provider/sim", "cache/0", "gateway/0", "model/sim"]) {
    let killed = false;
    let after = 0;
    const done = load(node, 16, () => killed && (after += 1) > 64);
    const kill = await fetch(`${node.url}/debug/kill?name=${encodeURIComponent(name)}`, { method: "POST" });
    assert.equal(kill.status, 200);
    killed = true;
    for (const answer of await done)
      assert.ok([200, 500, 502, 503].includes(answer.status), `${name}: ${answer.status}`);
    await eventually(`${name} is back`, async () => (await node.chat("assistant", "still there?")).status === 200, 2000);
  }
  assert.equal(await node.stop(), 0);
});

test("a node told to stop under load finishes what it accepted and exits 0", async () => {
  const node = await SkepNode.start(simulated("tokens_min = 2000\ntokens_max = 2000"));
  // An answer takes a second: time enough to see all at work on a slow machine.
  const running = Array.from({ length: 32 }, (_, n) => node.chat("assistant", `drain ${n}`, { stream: n % 2 === 0 }));
  await eventually("all are at work", async () => (await node.metric("skep_provider_in_flight")) === 32);
  const stopped = node.stop();
  for (const [n, answer] of (await Promise.all(running)).entries()) {
    assert.equal(answer.status, 200);
    const text = await answer.text();
    assert.ok(n % 2 === 0 ? text.endsWith("data: [DONE]\n\n") : JSON.parse(text).choices[0].finish_reason === "stop");
  }
  assert.equal(await stopped, 0);
  await assert.rejects(node.chat("assistant", "too late"));
});

test("keys are asked for when there are any", async () => {
  const node = await SkepNode.start(simulated() + '\n[[gateway.key]]\nkey = "env.TEST_KEY"\ntenant = "acme"\n',
                                    { env: { TEST_KEY: "sesame" } });
  assert.equal((await node.chat("assistant", "x")).status, 401);
  const wrong = await node.chat("assistant", "x", {}, { authorization: "Bearer nonsense" });
  assert.equal((await wrong.json()).error.code, "invalid_api_key");
  assert.equal((await node.chat("assistant", "x", {}, { authorization: "Bearer sesame" })).status, 200);
  assert.equal((await fetch(`${node.url}/health`)).status, 200);
  assert.equal(await node.stop(), 0);
});

/// What the node answers to these bytes on a socket of their own.
function raw(node, bytes) {
  return new Promise((done) => {
    const socket = net.connect(Number(node.address.split(":")[1]), "127.0.0.1");
    let text = "";
    socket.on("data", (piece) => (text += piece));
    socket.on("error", () => done(text));
    socket.on("close", () => done(text));
    socket.end(bytes);
  });
}

test("malformed requests get a JSON error or a clean end, and the node lives", async () => {
  const node = await SkepNode.start(simulated());
  const post = (body, extra = "") =>
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${extra}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  const corpus = [
    "GARBAGE\r\n\r\n",
    "GET / HTTP/9.9\r\nhost: localhost\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
    `GET / HTTP/1.1\r\nhost: localhost\r\nlong: ${"x".repeat(100000)}\r\n\r\n`,
    "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
    "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
    post("{"), post("[]"), post("null"), post('{"model":1,"messages":[]}'), post('{"model":"assistant"}'),
    post('{"model":"assistant","messages":"x"}'), post('{"model":"assistant","messages":[1]}'),
    post('{"model":"assistant","messages":[{"role":"alien","content":"x"}]}'),
    post('{"model":"assistant","messages":[{"role":"user","content":5}]}'),
    post('{"model":"assistant","stream":"yes","messages":[{"role":"user","content":"x"}]}'),
    post('{"model":"assistant","messages":' + "[".repeat(5000) + "]".repeat(5000) + "}"),
    post('{"model":"assistant","messages":[{"role":"user","content":"\\ud800"}]}'),
    post(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]).toString("latin1")),
  ];
  for (const bytes of corpus) {
    const answer = await raw(node, bytes);
    if (answer === "") continue;
    assert.match(answer, /^HTTP\/1\.1 (4\d\d|505)/, bytes.slice(0, 80));
    const body = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
    assert.deepEqual(Object.keys(body.error).sort(), ["code", "message", "param", "type"]);
  }
  assert.equal((await node.chat("assistant", "x")).status, 200);
  assert.equal((await fetch(`${node.url}/v1/nothing`)).status, 404);
  assert.equal((await fetch(`${node.url}/v1/chat/completions`)).status, 405);
  assert.equal(await node.stop(), 0);
});

test("a wrong configuration is told by file, line and column, with exit code 2", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-test-"));
  const file = path.join(folder, "bad.toml");
  const check = (text) => {
    fs.writeFileSync(file, text);
    return command("check", file);
  };
  let done = check('[cache]\nttl_sm = 5\n');
  assert.equal(done.code, 2);
  assert.equal(done.stderr.trim(), `${file}:2:1: unknown key "ttl_sm" in [cache]; did you mean "ttl_ms"?`);
  assert.equal(check('[cache]\nttl_ms = "5s"\n').code, 2);
  assert.equal(check("[gateway]\nthreads = 1000\n").code, 2);
  assert.equal(check('[[gateway.key]]\nkey = "env.NOT_SET_ANYWHERE"\n').code, 2);
  assert.equal(check("[gateway\n").code, 2);
  assert.equal(check(simulated()).code, 0);
  fs.writeFileSync(file, '[agent.a]\nmodels = ["nobody/x"]\n[gateway]\nlisten = "127.0.0.1:0"\n');
  done = command("run", file);
  assert.equal(done.code, 2);
  assert.match(done.stderr, /bad\.toml:2:\d+: agent a asks provider "nobody"/);
  assert.equal(command("run", path.join(folder, "missing.toml")).code, 2);
  assert.equal(command("frobnicate").code, 2);
  assert.match(command("version").stdout, /^skep \d+\.\d+\.\d+/);
  const dumped = command("check", path.join(source, "configs/dev.toml"), "--dump", "--set", "cache.shards=7");
  assert.match(dumped.stdout, /shards = 7/);
  fs.rmSync(folder, { recursive: true });
});

test("every shipped configuration is well-formed, and all-options.toml is what the code says", () => {
  for (const name of fs.readdirSync(path.join(source, "configs"))) {
    if (!name.endsWith(".toml")) continue;
    process.env.OPENAI_API_KEY ??= "test";
    process.env.ANTHROPIC_API_KEY ??= "test";
    process.env.SKEP_CLIENT_KEY ??= "test";
    process.env.SKEP_ADMIN_KEY ??= "operator";
    const done = command("check", path.join(source, "configs", name));
    assert.equal(done.code, 0, done.stderr);
  }
  const all = command("check", "--all-options").stdout;
  assert.equal(fs.readFileSync(path.join(source, "configs/all-options.toml"), "utf8"), all,
               "run: skep check --all-options > configs/all-options.toml");
  const page = command("check", "--markdown").stdout;
  assert.ok(fs.readFileSync(path.join(source, "docs/configuration.md"), "utf8").includes(page),
            "run: skep check --markdown, and put it into docs/configuration.md");
});
