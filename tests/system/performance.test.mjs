// The performance API, prompts and compression of a real node: with a key, over real sockets.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import zlib from "node:zlib";

import { eventually, SkepNode } from "./support/node.mjs";

const config = `
[[gateway.key]]
key = "env.TEST_KEY"
role = "admin"
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 2
tokens_per_s = 5000
[agent.assistant]
models = ["sim/small"]
cache = "all"
[agent.assistant.pool]
idle_min = 1
[agent.other]
models = ["sim/small"]
cache = "off"
[agent.other.pool]
idle_min = 0
size_max = 1
warm_up = false
`;
const key = "sk-performance";
let node;

before(async () => {
  node = await SkepNode.start(config, { sets: ["gateway.default_agent=assistant"], env: { TEST_KEY: key } });
});
after(() => node?.stop());

const bearer = { authorization: `Bearer ${key}` };
const page = async (name) => {
  const answer = await fetch(`${node.url}/api/v1/performance/${name}`, { headers: bearer });
  return { status: answer.status, body: await answer.json() };
};
const prompt = (body, headers = {}) =>
  fetch(`${node.url}/api/v1/agent/prompt`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer, ...headers },
    body: JSON.stringify(body),
  });

/// One request as it stands on the wire, nothing decoded.
function raw(path, headers, { method = "GET", body } = {}) {
  return new Promise((done, failed) => {
    const request = http.request(`${node.url}${path}`, { method, headers: { ...bearer, ...headers } }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces) }));
    });
    request.on("error", failed);
    request.end(body);
  });
}

test("without the key nothing is told", async () => {
  for (const name of ["metrics", "agent-pool", "health-detailed"])
    assert.equal((await fetch(`${node.url}/api/v1/performance/${name}`)).status, 401);
  const answer = await fetch(`${node.url}/api/v1/agent/prompt`, { method: "POST", body: '{"message":"x"}' });
  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).error.code, "invalid_api_key");
});

test("a prompt is answered, from the cache the second time", async () => {
  const first = await (await prompt({ message: "Hello, world!" })).json();
  assert.ok(first.response.length > 0);
  assert.equal(first.agent, "assistant");
  assert.equal(first.cached, false);
  assert.ok(first.usage.total_tokens > 0);
  const second = await eventually("the answer is cached", async () => {
    const again = await (await prompt({ message: "Hello, world!" })).json();
    return again.cached && again;
  });
  assert.equal(second.response, first.response);
  assert.notEqual(second.request_id, first.request_id);
});

test("a prompt streams, and what it streamed is what it answers whole", async () => {
  const text = await (await prompt({ message: "Tell me more", stream: true })).text();
  const events = text.split("\n\n").filter(Boolean).map((event) => event.replace(/^data: /, ""));
  assert.equal(events.pop(), "[DONE]");
  const last = JSON.parse(events.pop());
  assert.equal(last.done, true);
  const whole = await (await prompt({ message: "Tell me more" })).json();
  assert.equal(events.map((event) => JSON.parse(event).delta).join(""), whole.response);
});

test("the metrics page shows what happened", async () => {
  const shown = await eventually("requests are counted", async () => {
    const { body } = await page("metrics");
    return body.rates.since_start.succeeded >= 4 && body;
  });
  assert.ok(shown.response_time.window.p50_ms > 0);
  assert.ok(shown.response_time.window.p99_ms >= shown.response_time.window.p50_ms);
  assert.ok(shown.throughput.requests_per_second > 0);
  assert.ok(shown.throughput.tokens_per_second > 0);
  assert.ok(shown.system.memory_total_bytes > shown.system.process_resident_bytes);
  assert.equal(shown.cache.enabled, true);
  assert.ok(shown.cache.hits >= 1);
  assert.equal(shown.active_requests, 1);
  // A pace needs two samples, five seconds apart.
  const later = await eventually("processors were sampled twice", async () => {
    const { body } = await page("metrics");
    return body.system.cpu_window_seconds > 0 && body;
  }, 15000);
  assert.ok(later.system.cpu_percent >= 0 && later.system.cpu_percent <= 100);
});

test("a pool that refuses is named with what to set", async () => {
  assert.deepEqual((await page("agent-pool")).body.recommendations, []);
  // One instance: of many prompts at once most are refused.
  const refused = await eventually("a call is refused", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => prompt({ message: `a long question ${n} ${"word ".repeat(50)}`, agent: "other" })));
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    return answers.some((answer) => answer.status === 503);
  }, 15000);
  assert.ok(refused);
  const { body } = await page("agent-pool");
  assert.ok(body.pools.other.refused > 0);
  assert.equal(body.pools.other.size_max, 1);
  const advice = body.recommendations.find((each) => each.rule === "refused");
  assert.equal(advice.option, "agent.other.pool.size_max");
  assert.ok(advice.proposed > 1);
  assert.match(advice.reason, /calls were refused/);
  assert.equal(body.totals.refused, Object.values(body.pools).reduce((sum, pool) => sum + pool.refused, 0));
});

test("health-detailed judges the parts and the indicators", async () => {
  const { status, body } = await page("health-detailed");
  assert.equal(status, 200);
  assert.ok(["healthy", "degraded"].includes(body.status), body.status);
  assert.equal(body.components.node.status, "healthy");
  assert.equal(body.components["provider/sim"].status, "healthy");
  assert.equal(body.providers.sim.state, "ready");
  assert.ok(body.providers.sim.calls > 0);
  for (const name of ["response_time_p95_ms", "error_percent", "cpu_percent", "memory_percent"])
    assert.ok("grade" in body.indicators[name] && "target" in body.indicators[name], name);
});

test("long answers are compressed for clients that ask, and only for them", async () => {
  const path = "/metrics";
  const plain = await raw(path, {});
  assert.equal(plain.headers["content-encoding"], undefined);
  const packed = await raw(path, { "accept-encoding": "gzip, deflate" });
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.equal(packed.headers.vary, "accept-encoding");
  assert.match(zlib.gunzipSync(packed.body).toString(), /skep_http_requests_total/);
  assert.ok(packed.body.length * 3 < plain.body.length);
  assert.equal((await raw(path, { "accept-encoding": "gzip;q=0.2, zstd;q=0.9" })).headers["content-encoding"], "zstd");
  assert.equal((await raw(path, { "accept-encoding": "gzip;q=0" })).headers["content-encoding"], undefined);
  // fetch asks for it by itself and undoes it.
  assert.match(await (await fetch(`${node.url}${path}`, { headers: bearer })).text(), /skep_http_compressed_total/);
  // Short answers and streams stay as they are.
  assert.equal((await raw("/health", { "accept-encoding": "gzip" })).headers["content-encoding"], undefined);
  const body = JSON.stringify({ message: "x ".repeat(2000), stream: true });
  const stream = await raw("/api/v1/agent/prompt", { "accept-encoding": "gzip" }, { method: "POST", body });
  assert.equal(stream.headers["content-encoding"], undefined);
  assert.match(stream.body.toString(), /\[DONE\]/);
});

test("the list of models is not sent twice", async () => {
  const first = await raw("/v1/models", {});
  const again = await raw("/v1/models", { "if-none-match": first.headers.etag });
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);
  assert.equal(again.headers["content-length"], undefined);
  assert.ok(again.headers["x-request-id"]);
});

test("the usual variables are in force, and a wrong one keeps the node from starting", async () => {
  const env = { TEST_KEY: key, AGENT_POOL_SIZE: "3", ENABLE_RESPONSE_COMPRESSION: "false" };
  const other = await SkepNode.start(config, { env });
  try {
    const pools = await (await fetch(`${other.url}/api/v1/performance/agent-pool`, { headers: bearer })).json();
    assert.equal(pools.pools.assistant.size_max, 3);
    const answer = await fetch(`${other.url}/metrics`, { headers: { ...bearer, "accept-encoding": "gzip" } });
    assert.equal(answer.headers.get("content-encoding"), null);
  } finally {
    await other.stop();
  }
  await assert.rejects(SkepNode.start(config, { env: { TEST_KEY: key, CACHE_TTL: "an hour" } }), /CACHE_TTL/);
});
