// The response cache as its clients see it: calls that are shared, what survives a client that goes
// away, warming, clearing, refusals that are remembered, and what providers' own prompt caches need.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { LoopbackServer } from "./support/loopback_server.mjs";
import { binary, eventually, SkepNode } from "./support/node.mjs";

/// An upstream that counts its calls by the last message and answers when the test lets it. What a
/// call's answer is, its number tells: no two calls are answered alike.
class CountingUpstream extends LoopbackServer {
  calls = new Map();
  bodies = [];
  aborted = 0;
  /// Milliseconds until the first word and between words.
  delay = 0;
  #number = 0;
  #gates = new Map();

  async start() {
    this.server.keepAliveTimeout = 60000;
    return super.start();
  }

  count(text) {
    return this.calls.get(text) ?? 0;
  }

  /// Answers to this text wait, behind their first word when they stream, until the gate opens.
  close(text) {
    let open;
    const opened = new Promise((done) => (open = done));
    this.#gates.set(text, { opened, open });
    return open;
  }

  serve(request, response) {
    response.on("close", () => {
      if (!response.writableFinished) this.aborted += 1;
    });
    let sent = "";
    request.on("data", (piece) => (sent += piece));
    request.on("end", () => {
      const body = JSON.parse(sent);
      this.bodies.push(sent);
      const text = String(body.messages.at(-1).content);
      this.calls.set(text, this.count(text) + 1);
      this.#number += 1;
      const answer = `answer ${this.#number} to ${text}`;
      if (text.startsWith("refuse")) return this.#refuse(response, body);
      return body.stream ? this.#stream(response, body, text, answer) : this.#whole(response, body, text, answer);
    });
  }

  #refuse(response) {
    response.writeHead(400, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { message: "no such parameter", type: "invalid_request_error", param: "x", code: null } }));
  }

  #usage = { prompt_tokens: 2000, completion_tokens: 4, total_tokens: 2004,
             prompt_tokens_details: { cached_tokens: 1920, cache_write_tokens: 64 } };

  async #whole(response, body, text, answer) {
    if (text.startsWith("indented")) return this.#indented(response, body, answer);
    await this.#gates.get(text)?.opened;
    await new Promise((next) => setTimeout(next, this.delay));
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({
      id: "chatcmpl-up", object: "chat.completion", created: 1700000000, model: body.model, usage: this.#usage,
      choices: [{ index: 0, message: { role: "assistant", content: answer }, finish_reason: "stop" }],
    }));
  }

  /// With line ends between its tokens, a member of the choice's own called delta, and nulls.
  #indented(response, body, answer) {
    const message = { role: "assistant", content: answer, refusal: null, tool_calls: null, function_call: null };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({
      id: "chatcmpl-up", object: "chat.completion", created: 1700000000, model: body.model, usage: this.#usage,
      extra: { a: [1, 2] },
      choices: [{ index: 0, delta: { role: "assistant", content: "" }, message, finish_reason: "stop", logprobs: null }],
    }, null, 2));
  }

  async #stream(response, body, text, answer) {
    if (text.startsWith("tool")) return this.#tool(response, body, text);
    response.writeHead(200, { "content-type": "text/event-stream" });
    const event = (value) => response.write(`data: ${JSON.stringify({
      id: "chatcmpl-up", object: "chat.completion.chunk", created: 1700000000, model: body.model, ...value })}\n\n`);
    const choice = (delta, finish_reason = null) => event({ choices: [{ index: 0, delta, finish_reason }] });
    for (const [index, word] of answer.split(/(?<= )/).entries()) {
      choice({ content: word });
      if (index === 0) await this.#gates.get(text)?.opened;
      await new Promise((next) => setTimeout(next, this.delay));
    }
    choice({}, "stop");
    if (body.stream_options?.include_usage) event({ choices: [], usage: this.#usage });
    response.end("data: [DONE]\n\n");
  }

  /// A tool call in pieces.
  async #tool(response, body, text) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const event = (delta, finish_reason = null) => response.write(`data: ${JSON.stringify({
      id: "chatcmpl-up", object: "chat.completion.chunk", created: 1700000000, model: body.model,
      choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
    event({ role: "assistant", content: null, refusal: null });
    event({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "look", arguments: "" } }] });
    await this.#gates.get(text)?.opened;
    for (const piece of ['{"at"', ':"home"', "}"]) event({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
    event({}, "tool_calls");
    response.end("data: [DONE]\n\n");
  }
}

const overWire = (process.env.SKEP_SYSTEM_SET ?? "").includes("force_wire=true");

let upstream;
let node;
let client;

before(async () => {
  upstream = await new CountingUpstream().start();
  node = await SkepNode.start(`
[log]
level = "warn"
[gateway]
connections_per_address_max = 10000
[provider.up]
base_urls = ["${upstream.url}"]
attempts_max = 1
in_flight_max = 2000
cache = "all"
[provider.plain]
base_urls = ["${upstream.url}"]
attempts_max = 1
[agent.helper]
cache = "all"
instructions = "Be brief."
models = ["up/echo"]
[agent.other]
cache = "all"
models = ["up/echo"]
[agent.small]
cache = "all"
models = ["up/echo"]
[agent.small.pool]
size_max = 4
[agent.sampled]
models = ["up/echo"]
`);
  client = new OpenAI({ baseURL: `${node.url}/v1`, apiKey: "any", maxRetries: 0, timeout: 60000 });
});

after(async () => {
  assert.equal(await node?.stop(), 0);
  await upstream?.stop();
});

const request = (text, extra = {}) => ({ model: "helper", messages: [{ role: "user", content: text }], ...extra });
const wordOf = (response) => response.headers.get("x-skep-cache")?.toLowerCase();

/// The text, the cache's word and its key.
async function whole(text, extra = {}, options = {}) {
  const { data, response } = await client.chat.completions.create(request(text, extra), options).withResponse();
  return { text: data.choices[0].message.content, usage: data.usage, word: wordOf(response),
           key: response.headers.get("x-skep-cache-key") };
}

async function streamed(text, extra = {}, options = {}) {
  const { data, response } = await client.chat.completions.create(
    request(text, { stream: true, ...extra }), options).withResponse();
  let all = "";
  let usage = null;
  for await (const chunk of data) {
    all += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text: all, usage, word: wordOf(response), key: response.headers.get("x-skep-cache-key") };
}

/// Requests at work, without the one that asks for the metric.
const atWork = async () => (await node.metric("skep_http_active")) - 1;
/// Requests that have reached the call they share; those at work may still be on their way to it.
const following = () => node.metric("skep_flight_followers");
const countOf = (answers, word) => answers.filter((answer) => answer.word === word).length;

function clear(body) {
  return fetch(`${node.url}/api/v1/performance/cache/clear`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

/// `skep ...` while this process serves as its upstream.
function skep(...args) {
  return new Promise((done) => {
    const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
    const out = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) child[name].on("data", (piece) => (out[name] += piece));
    child.on("exit", (code) => done({ code, ...out }));
  });
}

for (const [kind, ask] of [["whole answers", whole], ["streams", streamed]])
  test(`a thousand at once share one call: ${kind}`, { timeout: 120000 }, async () => {
    const text = `stampede of ${kind}`;
    const open = upstream.close(text);
    const all = Array.from({ length: 1000 }, () => ask(text));
    await eventually("all have arrived", async () => (await atWork()) >= 1000, 60000);
    open();
    const answers = await Promise.all(all);
    assert.equal(upstream.count(text), 1);
    assert.equal(new Set(answers.map((answer) => answer.text)).size, 1);
    assert.equal(countOf(answers, "miss"), 1);
    assert.equal(countOf(answers, "shared") + countOf(answers, "hit"), 999);
    assert.ok(countOf(answers, "shared") > 0);
    assert.equal(new Set(answers.map((answer) => answer.key)).size, 1);
    assert.match(answers[0].key, /^[0-9a-f]{32}$/);
    // It stays for those who come later, in both forms.
    assert.equal((await whole(text)).word, "hit");
    assert.equal((await streamed(text)).text, answers[0].text);
    assert.equal(upstream.count(text), 1);
  });

/// The status and text of an answer of the agent "small", by a connection of its own.
function plainly(text, stream) {
  return new Promise((done, failed) => {
    const asked = http.request(`${node.url}/v1/chat/completions`, { method: "POST", agent: false }, (response) => {
      let body = "";
      response.on("data", (piece) => (body += piece));
      response.on("end", () => done({ status: response.statusCode, body }));
      response.on("error", failed);
    });
    asked.on("error", failed);
    asked.end(JSON.stringify(request(text, { model: "small", stream })));
  });
}

test("five thousand at once are one call, though the agent's pool has four places", { timeout: 180000 }, async () => {
  const text = "a very large stampede";
  const open = upstream.close(text);
  const all = Array.from({ length: 5000 }, (_, n) => plainly(text, n % 2 === 0));
  await eventually("all have arrived", async () => (await atWork()) >= 5000, 120000);
  // A flight gives the places of calls back that reached it in its own process; behind a socket they are kept until
  // the answer. The last of them may still be on their way through the pool.
  if (!overWire)
    await eventually("none holds a place", async () => (await node.metric("skep_pool_overflow", { agent: "small" })) === 0, 20000);
  open();
  const answers = await Promise.all(all);
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  for (const { body } of answers) assert.match(body, /answer|data: \[DONE\]/);
  assert.equal(upstream.count(text), 1);
});

test("sampled requests are calls of their own unless the configuration says otherwise", async () => {
  for (const model of ["plain/echo", "sampled"]) {
    const text = `sampled by ${model}`;
    assert.deepEqual([(await whole(text, { model })).word, (await whole(text, { model })).word], [undefined, undefined]);
    assert.equal(upstream.count(text), 2);
    const cold = { model, temperature: 0 };
    assert.deepEqual([(await whole(text, cold)).word, (await streamed(text, cold)).word], ["miss", "hit"]);
    assert.equal(upstream.count(text), 3);
  }
});

test("every answer has an id of its own, the same in all of its chunks", async () => {
  const ids = [];
  for (let n = 0; n < 3; ++n) {
    ids.push((await client.chat.completions.create(request("whose id"))).id);
    const chunks = new Set();
    for await (const chunk of await client.chat.completions.create(request("whose id", { stream: true }))) chunks.add(chunk.id);
    assert.equal(chunks.size, 1);
    ids.push(...chunks);
  }
  assert.equal(ids[0], "chatcmpl-up"); // The call's own answer.
  assert.equal(new Set(ids).size, 6);
  for (const id of ids.slice(1)) assert.match(id, /^chatcmpl-[0-9a-f]{32}$/);
});

test("a tool call that streams is shared, whole and in pieces, and not kept", async () => {
  const text = "tool for all";
  const open = upstream.close(text);
  const first = client.chat.completions.create(request(text, { stream: true }));
  await eventually("the call is under way", () => upstream.count(text) === 1);
  const others = Array.from({ length: 5 }, () => client.chat.completions.create(request(text)));
  await eventually("the others have arrived", async () => (await following()) >= 6);
  open();
  let args = "";
  for await (const chunk of await first) args += chunk.choices[0]?.delta.tool_calls?.[0]?.function.arguments ?? "";
  assert.equal(args, '{"at":"home"}');
  for (const answer of await Promise.all(others)) {
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(answer.choices[0].message.tool_calls,
                     [{ id: "call_1", type: "function", function: { name: "look", arguments: '{"at":"home"}' } }]);
  }
  assert.equal(upstream.count(text), 1);
  for await (const chunk of await client.chat.completions.create(request(text, { stream: true }))) void chunk;
  assert.equal(upstream.count(text), 2);
});

test("a whole answer with members of all kinds is kept, and played once", async () => {
  const first = await whole("indented by a gateway");
  assert.equal(first.word, "miss");
  assert.equal((await whole("indented by a gateway")).word, "hit");
  const again = await streamed("indented by a gateway");
  assert.deepEqual([again.word, again.text], ["hit", first.text]);
});

test("one who joins a stream late gets it from its beginning", async () => {
  const text = "late joiner";
  const open = upstream.close(text);
  const first = streamed(text);
  await eventually("the call is under way", () => upstream.count(text) === 1);
  const second = streamed(text);
  await eventually("the second has arrived", async () => (await following()) >= 2);
  open();
  const answers = await Promise.all([first, second]);
  assert.equal(answers[1].text, answers[0].text);
  assert.match(answers[1].text, /^answer \d+ to late joiner$/);
  assert.equal(upstream.count(text), 1);
});

for (const inStream of [false, true])
  test(`the client that came first goes away ${inStream ? "in the middle of its stream" : "before a word came"}, ` +
       "and the others are answered", async () => {
    const text = `the first leaves, ${inStream ? "streaming" : "waiting"}`;
    const open = upstream.close(text);
    const leaving = new AbortController();
    let heard;
    const hears = new Promise((done) => (heard = done));
    const first = (async () => {
      const answer = await client.chat.completions.create(request(text, { stream: inStream }), { signal: leaving.signal });
      if (inStream) for await (const chunk of answer) if (chunk.choices[0]?.delta.content) heard();
    })().catch(() => "gone");
    await eventually("the call is under way", () => upstream.count(text) === 1);
    if (inStream) await hears;
    const others = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? streamed(text) : whole(text)));
    await eventually("the others have arrived", async () => (await following()) >= 21);
    leaving.abort();
    await first;
    await eventually("it is gone", async () => (await atWork()) === 20);
    open();
    const answers = await Promise.all(others);
    assert.equal(new Set(answers.map((answer) => answer.text)).size, 1);
    assert.equal(upstream.count(text), 1);
    assert.equal(upstream.aborted, 0);
  });

test("when everybody has gone away, the call upstream ends, and the next one asks anew", async () => {
  const text = "everybody leaves";
  const open = upstream.close(text);
  const leaving = new AbortController();
  // The official client ends the loop over an aborted stream without an error, or throws.
  const all = Array.from({ length: 5 }, () => streamed(text, {}, { signal: leaving.signal }).catch(() => null));
  await eventually("the call is under way", () => upstream.count(text) === 1);
  await eventually("all have arrived", async () => (await following()) >= 5);
  leaving.abort();
  for (const answer of await Promise.all(all)) assert.doesNotMatch(answer?.text ?? "", /everybody leaves$/);
  await eventually("the call upstream is given up", () => upstream.aborted === 1);
  open();
  assert.equal((await whole(text)).word, "miss");
  assert.equal(upstream.count(text), 2);
  upstream.aborted = 0;
});

test("answers are cleared by agent, by key, and all", async () => {
  const mine = await whole("to be cleared");
  const others = await whole("to be cleared", { model: "other" });
  const direct = await whole("to be cleared", { model: "up/echo" });
  assert.deepEqual([mine.word, others.word, direct.word], ["miss", "miss", "miss"]);
  assert.equal(new Set([mine.key, others.key, direct.key]).size, 3);

  assert.deepEqual(await (await clear({ agent: "helper" })).json(), { cleared: "agent", agent: "helper" });
  assert.equal((await whole("to be cleared")).word, "miss");
  assert.equal((await whole("to be cleared", { model: "other" })).word, "hit");
  assert.equal((await whole("to be cleared", { model: "up/echo" })).word, "hit");

  assert.equal((await clear({ agent: "up/echo" })).status, 200);
  assert.equal((await whole("to be cleared", { model: "up/echo" })).word, "miss");
  assert.equal((await whole("to be cleared", { model: "other" })).word, "hit");

  const kept = await whole("to be kept", { model: "other" });
  assert.equal((await clear({ key: others.key })).status, 200);
  assert.equal((await whole("to be cleared", { model: "other" })).word, "miss");
  assert.equal((await whole("to be kept", { model: "other" })).word, "hit");

  const told = await skep("cache", "clear", "--key", kept.key, "--target", node.address);
  assert.deepEqual([told.code, told.stdout], [0, `cleared key ${kept.key}\n`]);
  assert.equal((await whole("to be kept", { model: "other" })).word, "miss");

  assert.equal((await skep("cache", "clear", "--target", node.address)).stdout, "cleared everything\n");
  for (const model of ["helper", "other", "up/echo"])
    assert.equal((await whole("to be cleared", { model })).word, "miss");

  assert.equal((await clear({ agent: "nobody" })).status, 404);
  assert.equal((await clear({ key: "12" })).status, 400);
  assert.equal((await clear({ agents: "helper" })).status, 400);
  const wrong = await skep("cache", "clear", "--agent", "nobody", "--target", node.address);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /no agent or provider is called "nobody"/);
});

test("a cache is warmed from a file of prompts", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-warm-"));
  const file = path.join(folder, "prompts.jsonl");
  const lines = Array.from({ length: 50 }, (_, n) => JSON.stringify(`warm ${n}`));
  lines.push(JSON.stringify({ prompt: "warm other", model: "other" }));
  lines.push(JSON.stringify(request("warm body", { temperature: 0 })));
  fs.writeFileSync(file, lines.join("\n") + "\n");
  const args = ["cache", "warm", file, "--model", "helper", "--target", node.address];
  const first = await skep(...args);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^52 prompts in [0-9.]+ s: 52 miss, 0 failed$/m);
  const second = await skep(...args, "--concurrency", "2", "--rate", "500");
  assert.match(second.stdout, /^52 prompts in [0-9.]+ s: 52 hit, 0 failed$/m);
  assert.equal((await whole("warm 7")).word, "hit");
  assert.equal((await streamed("warm body", { temperature: 0 })).word, "hit");
  assert.equal((await whole("warm other", { model: "other" })).word, "hit");

  fs.writeFileSync(file, '"warm 1"\nnonsense\n{"prompt":"refuse this"}\n');
  const wrong = await skep(...args);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /line 2: neither a JSON string nor a JSON object/);
  assert.match(wrong.stderr, /line 3: status 400: /);
  assert.match(wrong.stdout, / 2 failed$/m);
  assert.equal((await skep("cache", "warm", path.join(folder, "gone"), "--target", node.address)).code, 2);
  fs.rmSync(folder, { recursive: true, force: true });
});

test("a refusal that would come again is remembered for a while", async () => {
  const failures = [];
  for (let n = 0; n < 3; n += 1)
    await whole("refuse me").catch((error) => failures.push(error));
  assert.deepEqual(failures.map((error) => error.status), [400, 400, 400]);
  assert.equal(upstream.count("refuse me"), 1);
  assert.equal(failures[2].param, failures[0].param);
  assert.equal(failures[2].error.message, failures[0].error.message);
});

test("the figures say what became of the answers", async () => {
  const stats = await (await fetch(`${node.url}/api/v1/cache/stats`)).json();
  for (const name of ["hits", "shared", "misses", "stored", "cache_size", "cache_bytes"])
    assert.ok(stats[name] > 0, `${name} is ${stats[name]}`);
  for (const name of ["stale", "semantic", "refusals", "leases", "compression_ratio"])
    assert.equal(typeof stats[name], "number", name);
  assert.equal(stats.second_level.enabled, false);
  const shown = await skep("cache", "stats", "--target", node.address);
  assert.equal(shown.code, 0);
  assert.match(shown.stdout, /shared a call in flight +\d+/);
  assert.equal((await skep("cache", "stats", "--target", "127.0.0.1:1")).code, 1);
});

test("what steers a provider's prompt cache reaches it and changes no key", async () => {
  const parts = [{ type: "text", text: "Long.", cache_control: { type: "ephemeral", ttl: "1h" } }, { type: "text", text: "Short." }];
  const tools = [{ type: "function", function: { name: "find", parameters: { type: "object",
    properties: { reason: { type: "string" }, answer: { type: "string" } } } }, cache_control: { type: "ephemeral" } }];
  const messages = [{ role: "system", content: parts }, { role: "user", content: "controlled" }];
  const first = await whole("", { messages, tools, prompt_cache_key: "one", prompt_cache_retention: "24h" });
  assert.equal(first.word, "miss");
  const sent = upstream.bodies.at(-1);
  assert.ok(sent.includes(`"content":${JSON.stringify(parts)}`));
  assert.ok(sent.includes(`"tools":${JSON.stringify(tools)}`));
  assert.ok(sent.includes('"prompt_cache_key":"one"') && sent.includes('"prompt_cache_retention":"24h"'));
  assert.equal(first.usage.prompt_tokens_details.cached_tokens, 1920);
  assert.equal(first.usage.prompt_tokens_details.cache_write_tokens, 64);

  const again = await whole("", { messages, tools, prompt_cache_key: "two" });
  assert.deepEqual([again.word, again.key], ["hit", first.key]);
  const answer = await streamed("", { messages, tools, stream_options: { include_usage: true } });
  assert.equal(answer.word, "hit");
  assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 1920);

  // A longer conversation begins at the provider with the same bytes.
  const longer = [...messages, { role: "assistant", content: first.text }, { role: "user", content: "and then?" }];
  await whole("", { messages: longer, tools });
  const end = sent.indexOf('],"tools"');
  assert.ok(end > 0);
  assert.equal(upstream.bodies.at(-1).slice(0, end), sent.slice(0, end));
});
