// Who may ask what of a real node: foreign pages, keys and their roles, the listener for operations.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { command, eventually, SkepNode, source } from "./support/node.mjs";

const simulated = `
[provider.sim]
kind = "simulated"
models = ["small", "large"]
[provider.sim.simulated]
first_token_ms = 2
tokens_per_s = 5000
[agent.assistant]
models = ["sim/small"]
`;
const keys = `
[[gateway.key]]
key = "env.ROOT_KEY"
role = "admin"
[[gateway.key]]
key = "env.GUEST_KEY"
tenant = "acme"
models = ["agent/assistant", "sim/sm*"]
`;
const env = { ROOT_KEY: "sk-root", GUEST_KEY: "sk-guest" };
const root = { authorization: "Bearer sk-root" };
const guest = { "x-api-key": "sk-guest" };
const json = { "content-type": "application/json" };

/// One request with the headers as they are given, Host too.
function ask(url, { method = "GET", headers = {}, body } = {}) {
  return new Promise((done, failed) => {
    const request = http.request(url, { method, headers }, (answer) => {
      let text = "";
      answer.on("data", (piece) => (text += piece));
      answer.on("end", () => done({ status: answer.statusCode, headers: answer.headers, text }));
    });
    request.on("upgrade", (answer, socket) => socket.destroy());
    request.on("error", failed);
    request.end(body);
  });
}
const post = (url, headers, body = "") => ask(url, { method: "POST", headers, body });
const question = (model = "assistant") => JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] });

test("no web page steers the shipped development node", async () => {
  const node = await SkepNode.start(path.join(source, "configs/dev.toml"), { sets: ["node.debug_kill=true"] });
  const port = node.url.split(":").at(-1);
  const ways = [
    [{ host: `evil.example:${port}`, origin: "http://evil.example", "content-type": "text/plain" }, 403],
    [{ host: `evil.example:${port}` }, 403], // After DNS rebinding: the page's own origin.
    [{ origin: "http://evil.example" }, 403],
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "content-type": "text/plain" }, 415],
    [{ "content-type": "application/x-www-form-urlencoded" }, 415],
  ];
  const targets = ["/cluster/drain?node=skep", "/debug/kill?name=gateway%2F0", "/api/v1/performance/cache/clear", "/v1/chat/completions"];
  for (const target of targets)
    for (const [headers, status] of ways) {
      const got = await post(node.url + target, headers, target.startsWith("/v1") ? question() : "");
      assert.equal(got.status, status, `${target} ${JSON.stringify(headers)}: ${got.text}`);
      assert.match(JSON.parse(got.text).error.message, /gateway\.|content-type/);
    }
  for (const target of ["/metrics", "/v1/models", "/cluster"])
    assert.equal((await ask(node.url + target, { headers: { host: "evil.example" } })).status, 403);
  assert.deepEqual(JSON.parse((await ask(`${node.url}/ready`, { headers: { host: "evil.example" } })).text), { status: "ready" });
  // The node is as it was, and serves those it knows.
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, "[::1]", "10.0.0.7"])
    assert.equal((await post(`${node.url}/v1/chat/completions`, { host, ...json }, question())).status, 200);
  assert.equal((await fetch(`${node.url}/metrics`)).status, 200);
  assert.equal(await node.stop(), 0);
});

test("a client's key asks what its list says and operates nothing", async () => {
  const node = await SkepNode.start(simulated + keys, { env, sets: ["node.debug_kill=true"] });
  const chat = (model, headers) => post(`${node.url}/v1/chat/completions`, { ...json, ...headers }, question(model));
  for (const model of ["assistant", "sim/small"]) assert.equal((await chat(model, guest)).status, 200);
  assert.equal((await chat("sim/large", guest)).status, 403);
  assert.equal((await chat("sim/large", root)).status, 200);
  assert.equal((await chat("assistant", {})).status, 401);
  const listed = JSON.parse((await ask(`${node.url}/v1/models`, { headers: guest })).text).data.map((each) => each.id);
  assert.deepEqual(listed, ["assistant", "sim/small"]);
  for (const target of ["/cluster/drain", "/debug/kill?name=gateway%2F0", "/api/v1/performance/cache/clear"])
    assert.equal((await post(node.url + target, guest)).status, 403);
  for (const target of ["/metrics", "/cluster", "/api/v1/cache/stats", "/api/v1/performance/health-detailed"]) {
    const got = await ask(node.url + target, { headers: guest });
    assert.equal(got.status, 403);
    assert.equal(JSON.parse(got.text).error.code, "forbidden");
  }
  assert.deepEqual(Object.keys(JSON.parse((await ask(`${node.url}/ready`, { headers: guest })).text)), ["status"]);
  assert.ok(JSON.parse((await ask(`${node.url}/ready`, { headers: root })).text).actors["agent/assistant"]);
  assert.equal((await ask(`${node.url}/metrics`, { headers: root })).status, 200);
  assert.equal(await node.stop(), 0);
});

test("bodies of those without a key are not waited for", async () => {
  const node = await SkepNode.start(simulated + keys, { env, sets: ["gateway.bodies_bytes=1048576"] });
  // Twice the budget is announced, and none of it ends.
  const strangers = Array.from({ length: 64 }, () => {
    const request = http.request(`${node.url}/v1/chat/completions`, {
      method: "POST", headers: { ...json, "content-length": 32768 }, agent: false,
    });
    const status = new Promise((done) => request.on("response", (answer) => done(answer.statusCode)));
    request.on("error", () => {});
    request.write(Buffer.alloc(16384, "x"));
    return { request, status };
  });
  for (const { status } of strangers) assert.equal(await status, 401);
  for (let n = 0; n < 20; n += 1)
    assert.equal((await post(`${node.url}/v1/chat/completions`, { ...json, ...guest }, question())).status, 200);
  for (const { request } of strangers) request.destroy();
  assert.equal(await node.stop(), 0);
});

test("a page of a named origin asks and reads, streamed as well", async () => {
  const config = `[gateway]\ncors_origins = ["https://app.example"]\n${keys}${simulated}`;
  const node = await SkepNode.start(config, { env });
  const page = { origin: "https://app.example", "sec-fetch-site": "cross-site" };
  const preflight = await ask(`${node.url}/v1/messages`, {
    method: "OPTIONS",
    headers: { ...page, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key,anthropic-version,x-stainless-os" },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers["access-control-allow-headers"], "x-api-key,anthropic-version,x-stainless-os");
  for (const stream of [false, true]) {
    const body = JSON.stringify({ ...JSON.parse(question()), stream });
    const got = await post(`${node.url}/v1/chat/completions`, { ...page, ...json, ...guest }, body);
    assert.equal(got.status, 200);
    assert.equal(got.headers["access-control-allow-origin"], "https://app.example");
    assert.match(got.headers["access-control-expose-headers"], /x-request-id/);
    assert.match(got.headers.vary, /origin/);
  }
  // What the server itself refuses is read as well: here a length that no body may have.
  const large = await post(`${node.url}/v1/chat/completions`, { ...page, ...json, ...guest, "content-length": "99999999999" }, "x");
  assert.equal(large.status, 413);
  assert.equal(large.headers["access-control-allow-origin"], "https://app.example");
  assert.equal((await post(`${node.url}/v1/chat/completions`, { origin: "https://b.example", ...json, ...guest }, question())).status, 403);
  assert.equal(await node.stop(), 0);
});

test("operations move to admin.listen, which this machine needs no key for", async () => {
  const node = await SkepNode.start(simulated + keys, { env, sets: ['admin.listen="127.0.0.1:0"'] });
  const operations = await eventually("the log names the address", () => /operations are served at (http:\S+)/.exec(node.stderr)?.[1]);
  assert.equal(operations, `http://${node.operations}`);
  assert.equal((await ask(`${node.url}/metrics`, { headers: root })).status, 404);
  assert.match((await ask(`${operations}/metrics`)).text, /skep_gateway_denied_total/);
  assert.equal((await ask(`${operations}/metrics`, { headers: { host: "evil.example" } })).status, 403);
  assert.equal((await post(`${operations}/api/v1/performance/cache/clear`, {})).status, 200);
  assert.equal((await post(`${operations}/v1/chat/completions`, json, question())).status, 404);
  assert.match(command("status", operations).stdout, /: ready \(skep /);
  assert.equal(await node.stop(), 0);
});

test("base URLs with and without /v1, WebSocket tries and sub-paths end as clients expect", async () => {
  const node = await SkepNode.start(simulated);
  for (const target of ["/chat/completions", "//v1//chat/completions/", "/v1/v1/chat/completions"])
    assert.equal((await post(node.url + target, json, question())).status, 200);
  const upgraded = await ask(`${node.url}/v1/responses`, {
    headers: { connection: "upgrade", upgrade: "websocket", "sec-websocket-key": "x", "sec-websocket-version": "13" },
  });
  assert.equal(upgraded.status, 426);
  for (const target of ["/v1/responses/resp_1/cancel", "/v1/responses/compact", "/v1/responses/input_tokens", "/v1/conversations"])
    assert.equal((await post(node.url + target, json, "{}")).status, 404);
  // As much as Anthropic's API takes.
  const large = JSON.stringify({ model: "assistant", max_tokens: 50, messages: [{ role: "user", content: "x".repeat(31 << 20) }] });
  assert.equal((await post(`${node.url}/v1/messages`, json, large)).status, 200);
  const near = JSON.parse((await post(`${node.url}/v1/chat/completions`, json, question("asistant"))).text).error;
  assert.match(near.message, /did you mean "assistant"\?; GET \/v1\/models/);
  assert.equal(await node.stop(), 0);
});

test("a key that two tenants share, or operations without a key for other machines, are no configuration", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-test-"));
  const file = path.join(folder, "bad.toml");
  const check = (text) => {
    fs.writeFileSync(file, text);
    return command("check", file);
  };
  process.env.SHARED_KEY = "one-and-the-same";
  const twice = check(keys.replace(/env\.\w+/g, "env.SHARED_KEY"));
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /bad\.toml:6:\d+: \[\[gateway\.key\]\]: env\.SHARED_KEY and env\.SHARED_KEY hold the same key/);
  assert.doesNotMatch(twice.stderr, /one-and-the-same/);
  assert.match(check('[admin]\nlisten = "0.0.0.0:0"\n').stderr, /bad\.toml:2:\d+: .*role = "admin"/);
  assert.match(check('[gateway]\ncors_origins = ["*"]\n').stderr, /bad\.toml:2:\d+: .*needs keys/);
  fs.rmSync(folder, { recursive: true });
});
