// The official client through a node to a real upstream.
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { eventually, SkepNode, upstreamConfig } from "./support/node.mjs";
import { Upstream } from "./support/upstream.mjs";

let upstream;
let node;
let client;

before(async () => {
  upstream = await new Upstream().start();
  node = await SkepNode.start(upstreamConfig(upstream.url), { env: { UP_KEY: "k" } });
  client = new OpenAI({ baseURL: `${node.url}/v1`, apiKey: "any", maxRetries: 0 });
});

after(async () => {
  assert.equal(await node.stop(), 0);
  await upstream.stop();
});

const ask = (model, text, extra = {}, options = {}) =>
  client.chat.completions.create({ model, messages: [{ role: "user", content: text }], ...extra }, options);

async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it should have failed");
}

test("a completion comes back whole, with its request id", async () => {
  const { data, response } = await ask("echo", "hello").withResponse();
  assert.equal(data.choices[0].message.content, "you said: hello");
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.equal(data.system_fingerprint, "fp_test");
  assert.equal(data.usage.total_tokens, 8);
  assert.match(response.headers.get("x-request-id"), /^[0-9a-f-]{36}$/);
});

test("an agent's name is a model, too, and adds its instructions", async () => {
  const answer = await ask("helper", "agent");
  assert.equal(answer.choices[0].message.content, "you said: agent");
  assert.deepEqual(upstream.requests.at(-1).body.messages[0], { role: "system", content: "Be brief." });
});

test("a stream comes piece by piece, with the usage only when asked for", async () => {
  for (const include_usage of [true, false]) {
    const stream = await ask("up/echo", `one two three ${include_usage}`, {
      stream: true, ...(include_usage ? { stream_options: { include_usage } } : {}),
    });
    let text = "";
    let pieces = 0;
    let usage = null;
    const finishes = [];
    for await (const chunk of stream) {
      assert.ok(include_usage || !chunk.usage);
      usage = chunk.usage ?? usage;
      const choice = chunk.choices[0];
      if (!choice) continue;
      text += choice.delta.content ?? "";
      pieces += 1;
      if (choice.finish_reason) finishes.push(choice.finish_reason);
    }
    assert.equal(text, `you said: one two three ${include_usage}`);
    assert.ok(pieces > 4);
    assert.deepEqual(finishes, ["stop"]);
    assert.equal(usage?.total_tokens, include_usage ? 8 : undefined);
  }
});

test("tool calls pass through, whole and streamed", async () => {
  const whole = await ask("tools", "add", { tools: [{ type: "function", function: { name: "add" } }] });
  assert.equal(whole.choices[0].finish_reason, "tool_calls");
  assert.equal(whole.choices[0].message.content, null);
  assert.equal(whole.choices[0].message.tool_calls[0].function.arguments, '{"a":1}');
  const stream = await ask("tools", "add", { stream: true });
  let text = "";
  let name = "";
  for await (const chunk of stream) {
    const call = chunk.choices[0]?.delta.tool_calls?.[0];
    name += call?.function?.name ?? "";
    text += call?.function?.arguments ?? "";
  }
  assert.equal(name, "add");
  assert.equal(text, '{"a":1}');
});

test("members nobody knows reach the upstream", async () => {
  await ask("echo", "unknown members", { temperature: 0.25, chat_template_kwargs: { think: false } });
  const body = upstream.requests.at(-1).body;
  assert.equal(body.temperature, 0.25);
  assert.deepEqual(body.chat_template_kwargs, { think: false });
  assert.ok(upstream.requests.at(-1).headers.traceparent);
});

test("sixty-four at a time are answered, each with its own answer", async () => {
  const all = await Promise.all(Array.from({ length: 64 }, (_, n) => ask("echo", `number ${n}`)));
  all.forEach((answer, n) => assert.equal(answer.choices[0].message.content, `you said: number ${n}`));
});

test("models are listed and found", async () => {
  const list = await client.models.list();
  assert.deepEqual(list.data.map((model) => model.id).sort(), ["echo", "helper"]);
  assert.equal((await client.models.retrieve("helper")).owned_by, "skep");
  assert.equal((await failureOf(client.models.retrieve("nobody"))).status, 404);
});

test("the upstream's errors arrive as the client knows them", async () => {
  const expected = {
    400: [400, OpenAI.BadRequestError, null],
    401: [502, OpenAI.InternalServerError, "upstream_credentials_exhausted"],
    404: [404, OpenAI.NotFoundError, "model_not_found"],
    429: [429, OpenAI.RateLimitError, "rate_limit_exceeded"],
    500: [502, OpenAI.InternalServerError, "upstream_failed"],
  };
  for (const [upstreamStatus, [status, kind, code]] of Object.entries(expected)) {
    for (const stream of [false, true]) {
      const error = await failureOf(ask(`status-${upstreamStatus}`, "x", { stream }));
      assert.equal(error.status, status);
      assert.ok(error instanceof kind);
      assert.equal(error.code, code);
      assert.match(error.requestID, /^[0-9a-f-]{36}$/);
      assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
      if (status === 429) assert.equal(error.headers.get("retry-after"), "30");
    }
  }
});

test("a stream that breaks off upstream throws, and is never taken for an end", async () => {
  const stream = await ask("cut", "one two three four", { stream: true });
  const error = await failureOf((async () => {
    for await (const chunk of stream) assert.ok(chunk);
  })());
  assert.ok(error);
});

test("the reason of a broken stream reaches a plain fetch, whose body ends cleanly", async () => {
  const messages = [{ role: "user", content: "one two three four" }];
  const bodies = {
    "/v1/chat/completions": { messages },
    "/v1/messages": { messages, max_tokens: 100 },
    "/v1/responses": { input: messages },
  };
  for (const [path, body] of Object.entries(bodies)) {
    const answer = await fetch(`${node.url}${path}`, {
      method: "POST", headers: { "content-type": "application/json", "cache-control": "no-store" },
      body: JSON.stringify({ model: "up/cut", stream: true, ...body }),
    });
    const text = await answer.text(); // Throws when the body is cut.
    assert.match(text, /the provider up broke its answer off/, path);
    assert.doesNotMatch(text, /message_stop|response\.completed/, path);
    // The Open Responses specification ends a failed stream, too, by [DONE].
    assert.equal(text.includes("[DONE]"), path === "/v1/responses", path);
  }
});

test("a stalled stream ends with an error after the idle time-out", async () => {
  // A node of its own: a busy machine keeps the other upstreams from their next word for that long.
  const hasty = await SkepNode.start(upstreamConfig(upstream.url).replace("attempts_max", "idle_timeout_ms = 500\nattempts_max"));
  const own = new OpenAI({ baseURL: `${hasty.url}/v1`, apiKey: "any", maxRetries: 0 });
  const stream = await own.chat.completions.create({ model: "stall", messages: [{ role: "user", content: "one two three four" }], stream: true });
  const error = await failureOf((async () => {
    for await (const chunk of stream) assert.ok(chunk);
  })());
  assert.ok(error);
  assert.equal(await hasty.stop(), 0);
});

test("a client that goes away closes the upstream's socket, before and after the first token", async () => {
  for (const [model, stream] of [["hold", false], ["hold", true], ["flood", true]]) {
    const before = upstream.aborted;
    const seen = upstream.requests.length;
    const control = new AbortController();
    const answer = ask(model, "x", { stream }, { signal: control.signal });
    answer.catch(() => {});
    await eventually("the request is upstream", () => upstream.requests.length > seen);
    if (model === "flood") for await (const chunk of await answer) if (chunk) break;
    control.abort();
    await eventually("the upstream sees its caller go", () => upstream.aborted > before, 2000);
  }
});

test("a client that does not read stops the upstream", async () => {
  upstream.written = 0;
  const socket = net.connect(Number(node.address.split(":")[1]), "127.0.0.1");
  const body = JSON.stringify({ model: "flood", stream: true, messages: [{ role: "user", content: "x" }] });
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  await new Promise((first) => socket.once("readable", first)); // Never read from.
  // Until nothing moved for half a second.
  let last = -1;
  let still = 0;
  await eventually("the upstream has stopped", async () => {
    await new Promise((next) => setTimeout(next, 100));
    still = upstream.written === last ? still + 1 : 0;
    last = upstream.written;
    return still >= 5;
  }, 10000);
  // Socket buffers on both sides, the windows, and what the kernel auto-tunes: megabytes, not more.
  assert.ok(upstream.written < 24e6, `${upstream.written} bytes`);
  const stopped = upstream.written;
  socket.resume();
  await eventually("it goes on", () => upstream.written > stopped + 1e6);
  socket.destroy();
});

test("equal requests are answered from the cache, whole and streamed", async () => {
  const before = upstream.requests.length;
  const first = await ask("helper", "cache me", { temperature: 0 }).withResponse();
  assert.match(first.response.headers.get("cache-status"), /fwd=miss/);
  const second = await ask("helper", "cache me", { temperature: 0 }).withResponse();
  assert.match(second.response.headers.get("cache-status"), /hit; ttl=\d+/);
  assert.equal(second.data.choices[0].message.content, "you said: cache me");
  const stream = await ask("helper", "cache me", { temperature: 0, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  assert.equal(text, "you said: cache me");
  assert.equal(upstream.requests.length, before + 1);
  const past = await ask("helper", "cache me", { temperature: 0 }, { headers: { "cache-control": "no-store" } }).withResponse();
  assert.match(past.response.headers.get("cache-status"), /fwd=bypass/);
  assert.equal(upstream.requests.length, before + 2);
});

test("the cache tells its figures and can be cleared", async () => {
  await ask("helper", "forget me", { temperature: 0 });
  const stats = async () => (await fetch(`${node.url}/api/v1/cache/stats`)).json();
  await eventually("the answer is kept", async () => (await stats()).cache_size > 0);
  const before = await stats();
  const again = await ask("helper", "forget me", { temperature: 0 }).withResponse();
  assert.match(again.response.headers.get("cache-status"), /; hit/);
  await eventually("the hit is counted", async () => (await stats()).hits === before.hits + 1);
  const { hits, misses, hit_rate: rate } = await stats();
  assert.equal(rate, hits / (hits + misses));
  const clear = (body) => fetch(`${node.url}/api/v1/performance/cache/clear`, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal((await clear('{"agents":"helper"}')).status, 400);
  assert.equal((await stats()).cache_size, before.cache_size);
  const cleared = await clear("");
  assert.deepEqual([cleared.status, await cleared.json()], [200, { cleared: "all" }]);
  assert.equal((await stats()).cache_size, 0);
  const fresh = await ask("helper", "forget me", { temperature: 0 }).withResponse();
  assert.match(fresh.response.headers.get("cache-status"), /fwd=miss/);
});
