// Redis as the second level of the cache: shared by nodes that do not know each other, and no trouble
// for clients when it is killed, stopped or slow.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually, SkepNode } from "./support/node.mjs";
import { Redis } from "./support/redis.mjs";
import { Upstream } from "./support/upstream.mjs";

const breaker = { name: "cache/redis" };
const open = 1;
const closed = 0;

let redis;
let upstream;
let a;
let b;

// Nodes that share a Redis tell requests apart alike.
const env = { SKEP_IDENTITY_SECRET: "of all nodes in this test" };
const start = (text = config(), secret = env) => SkepNode.start(text, { env: secret });

const config = () => `
[node]
identity_secret = "env.SKEP_IDENTITY_SECRET"
[log]
level = "warn"
[redis]
url = "${redis.url}"
timeout_ms = 100
stall_ms = 200
[redis.breaker]
open_min_ms = 200
open_max_ms = 500
[provider.up]
kind = "openai"
base_urls = ["${upstream.url}"]
[agent.assistant]
cache = "all"
models = ["up/echo"]
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 2
tokens_per_s = 5000
[agent.busy]
cache = "all"
models = ["sim/small"]
`;

before(async () => {
  redis = await new Redis().start();
  upstream = await new Upstream().start();
  a = await start();
  b = await start();
});

after(async () => {
  await Promise.all([a?.kill(), b?.kill()]);
  await upstream?.stop();
  await redis?.stop();
});

async function ask(node, text, model = "assistant") {
  const began = performance.now();
  const answer = await node.chat(model, text);
  const body = await answer.text();
  assert.equal(answer.status, 200, body);
  return { ms: performance.now() - began, cache: answer.headers.get("cache-status") ?? "", body: JSON.parse(body) };
}

/// Clients that ask new questions without a pause until stop(); no answer may fail.
class Load {
  #stopping = false;
  #number = 0;
  answers = 0;
  failures = [];
  slowest = 0;

  constructor(nodes, name, lanes = 8) {
    this.lanes = Array.from({ length: lanes }, async (_, lane) => {
      while (!this.#stopping) {
        const text = `${name} ${lane} ${(this.#number += 1)}`;
        try {
          const { ms } = await ask(nodes[lane % nodes.length], text, "busy");
          this.answers += 1;
          this.slowest = Math.max(this.slowest, ms);
        } catch (error) {
          this.failures.push(String(error));
        }
      }
    });
  }

  async more(count) {
    const before = this.answers;
    await eventually(`${count} more answers`, () => this.answers >= before + count || this.failures.length > 0, 20000);
  }

  async stop() {
    this.#stopping = true;
    await Promise.all(this.lanes);
    assert.deepEqual(this.failures.slice(0, 3), [], `${this.failures.length} requests failed`);
  }
}

/// Asks, and waits until the answer lies in Redis.
async function askAndStore(node, text) {
  const before = await node.metric("skep_redis_stored_total");
  const answer = await ask(node, text);
  await eventually("the answer is in Redis", async () => (await node.metric("skep_redis_stored_total")) > before);
  return answer;
}

const breakerIs = (node, state, ms = 10000) =>
  eventually(`the circuit to Redis is ${state === open ? "open" : "closed"}`,
             async () => (await node.metric("skep_breaker_state", breaker)) === state, ms);

/// New questions, each a lookup in Redis, until the circuit is closed: only a call can probe it.
async function healed(node, name) {
  for (let n = 0; n < 400; n += 1) {
    await ask(node, `${name} heals ${n}`, "busy");
    if ((await node.metric("skep_breaker_state", breaker)) === closed) return;
    await new Promise((next) => setTimeout(next, 20));
  }
  assert.fail("the circuit to Redis did not close");
}

test("what one node asked, another one finds in Redis", async () => {
  const asked = upstream.requests.length;
  const first = await askAndStore(a, "what is shared?");
  const second = await ask(b, "what is shared?");
  assert.equal(upstream.requests.length, asked + 1, "the provider was asked once");
  assert.match(second.cache, /hit/);
  assert.deepEqual(second.body.choices, first.body.choices);
  assert.ok((await b.metric("skep_redis_hits_total")) >= 1);
  // From now on from its own memory.
  const hits = await b.metric("skep_redis_hits_total");
  assert.match((await ask(b, "what is shared?")).cache, /hit/);
  assert.equal(await b.metric("skep_redis_hits_total"), hits);
});

test("a node with another identity secret finds nothing of the others'", async () => {
  const asked = upstream.requests.length;
  await askAndStore(a, "what is ours alone?");
  const stranger = await start(config(), { SKEP_IDENTITY_SECRET: "of another deployment" });
  try {
    assert.match((await ask(stranger, "what is ours alone?")).cache, /miss/);
    assert.equal(upstream.requests.length, asked + 2);
  } finally {
    await stranger.kill();
  }
});

test("a node that was restarted finds its answers again", async () => {
  const asked = upstream.requests.length;
  await askAndStore(a, "what survives?");
  await a.kill();
  a = await start();
  assert.match((await ask(a, "what survives?")).cache, /hit/);
  assert.equal(upstream.requests.length, asked + 1);
});

test("kill -9 of Redis under load: no request fails, the circuit opens and closes again", async (t) => {
  const load = new Load([a, b], "kill");
  await load.more(100);
  await redis.kill();
  await Promise.all([breakerIs(a, open), breakerIs(b, open)]);
  await load.more(200);
  await redis.start();
  await load.more(50);
  await Promise.all([healed(a, "kill"), healed(b, "kill")]);
  await load.more(50);
  await load.stop();
  t.diagnostic(`${load.answers} answers, the slowest in ${load.slowest.toFixed(0)} ms`);
  // And it is of use again.
  const text = "after the kill?";
  await askAndStore(a, text);
  assert.match((await ask(b, text)).cache, /hit/);
});

test("a Redis that is stopped costs a bounded time", async (t) => {
  const load = new Load([a, b], "stop");
  await load.more(100);
  redis.freeze();
  await Promise.all([breakerIs(a, open), breakerIs(b, open)]);
  await load.more(300);
  const stopped = load.slowest;
  redis.thaw();
  await Promise.all([healed(a, "stop"), healed(b, "stop")]);
  await load.stop();
  t.diagnostic(`${load.answers} answers, the slowest in ${stopped.toFixed(0)} ms`);
  // redis.timeout_ms and the answer itself, with room for a machine that does much else.
  assert.ok(stopped < 2000, `an answer took ${stopped} ms`);
});

test("values in Redis that are none of ours are misses", async () => {
  await redis.command("FLUSHALL");
  await askAndStore(a, "what is spoiled?");
  const keys = (await redis.command("KEYS", "skep:*")).split("\r\n").filter((line) => line.startsWith("skep:"));
  for (const key of keys) await redis.command("SET", key, "spoiled");
  const asked = upstream.requests.length;
  await ask(b, "what is spoiled?");
  assert.equal(upstream.requests.length, asked + 1);
  assert.ok((await b.metric("skep_redis_malformed_total")) >= 1);
});

test("a node without a Redis at its address serves all the same", async () => {
  const lonely = await start(config().replace(redis.url, "redis://127.0.0.1:1"));
  try {
    for (let n = 0; n < 20; n += 1) await ask(lonely, `lonely ${n}`, "busy");
    assert.equal(await lonely.metric("skep_redis_connections"), 0);
  } finally {
    await lonely.kill();
  }
});
