// Providers as users of other gateways met them: their streams begin late, end early, carry errors where
// nobody looks, or speak of things no client asked. The same at every API of the node.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { LoopbackServer } from "./support/loopback_server.mjs";
import { SkepNode } from "./support/node.mjs";

const chunk = (delta, finish = null, more = {}) =>
  `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: finish, ...more }] })}\n\n`;
const done = "data: [DONE]\n\n";
const good = (text) => chunk({ content: text }) + chunk({}, "stop") + done;
const event = (type, members = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
const started = event("message_start", { message: { id: "msg_1", model: "m", usage: { input_tokens: 1 } } });
const overloaded = event("error", { error: { type: "overloaded_error", message: "Overloaded" } });
const boom = 'data: {"error":{"message":"boom","code":500}}\n\n';
const whole = (choice) => ({ id: "c1", created: 1, model: "m", choices: [{ index: 0, ...choice }] });
const died = { code: 502, message: "upstream died" };

const message = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [{ type: "text", text: "hey" }], stop_reason: "end_turn", usage: { input_tokens: 1, output_tokens: 1 } };

/// What each model does: the text of a stream, or { status, body } for another answer.
const models = {
  second: good("second"),
  plain: { status: 200, body: message },
  "role-error": chunk({ role: "assistant", content: "" }) + boom,
  "empty-error": chunk({}) + boom,
  "filter-error": 'data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n' + boom,
  "usage-error": 'data: {"id":"c1","model":"m","choices":[],"usage":{"prompt_tokens":1}}\n\n' + boom,
  "role-break": { stream: chunk({ role: "assistant", content: "" }), cut: true },
  "start-error": started + overloaded,
  "block-error": started + event("ping") + event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }) + overloaded,
  beats: chunk({ content: "he" }) + "data:\n\ndata: null\n\nevent: keepalive\ndata: keepalive\n\n" + chunk({ content: "y" }) + chunk({}, "stop") + "data: [DONE] \n\n",
  halves: chunk({ content: "a" }).replace('"a"', '"a\\ud83d"') + chunk({ content: "b" }).replace('"b"', '"\\ude00b"') + chunk({}, "stop") + done,
  azure: 'data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n' + good("hey"),
  unfinished: chunk({ content: "hey" }) + done,
  twice: chunk({ content: "hey" }) + chunk({}, "stop") + chunk({}, "stop") + done,
  "finish-break": { stream: chunk({ content: "hey" }) + chunk({}, "stop"), cut: true },
  "choice-error": chunk({ content: "half" }) + chunk({ content: "" }, "error", { error: died }) + done,
  "whole-error": { status: 200, body: whole({ message: { content: "half" }, finish_reason: "stop", error: died }) },
  "no-stream": { status: 200, body: { error: { message: "this model cannot stream", type: "invalid_request_error", param: "stream", code: null } } },
  "json-answer": { status: 200, body: whole({ message: { content: "hey" }, finish_reason: "stop" }) },
  flagged: { status: 403, body: { error: { message: "Your input was flagged", code: 403, metadata: { reasons: ["violence"] } } } },
  "too-hot": { status: 400, body: { error: { message: "Invalid 'temperature'", type: "invalid_request_error", param: "temperature", code: "decimal_above_max_value" } } },
  "no-words": { status: 422, body: { detail: [{ loc: ["body", "messages", 0], msg: "Field required" }] } },
};

class Scripted extends LoopbackServer {
  asked = [];
  headers = {}; // Of the last request.

  serve(request, response) {
    this.headers = request.headers;
    if (request.method === "GET") {
      response.end(JSON.stringify({ data: [{ id: "m", created: 5, max_model_len: 8 }] }));
      return;
    }
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => this.#answer(JSON.parse(text), response));
  }

  #answer(body, response) {
    this.asked.push(body);
    const script = models[body.model];
    if (script.status) {
      response.writeHead(script.status, { "content-type": "application/json" });
      response.end(JSON.stringify(script.body));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(script.stream ?? script, () => (script.cut ? response.socket.destroy() : response.end()));
  }
}

const doors = {
  "/v1/chat/completions": (model) => ({ model, messages: [{ role: "user", content: "q" }] }),
  "/v1/messages": (model) => ({ model, max_tokens: 9, messages: [{ role: "user", content: "q" }] }),
  "/v1/responses": (model) => ({ model, input: "q" }),
};

describe("odd upstreams", { concurrency: 1 }, () => {
  let upstream;
  let node;

  before(async () => {
    upstream = await new Scripted().start();
    const provider = (name, more) => `[provider.${name}]\nbase_url = "${upstream.url}"\nattempts_max = 1\n${more}\n`;
    // Nearly all that is asked of these fails.
    const patient = (name) => `[provider.${name}.breaker]\nfailures_max = 1000\nfailure_rate_max = 1\n`;
    const agent = (first, of) => `[agent.${first}]\nmodels = ["${of}/${first}", "up/second"]\ncache = false\n`;
    const silent = ["role-error", "empty-error", "filter-error", "usage-error", "role-break"];
    node = await SkepNode.start(`[cache]
shards = 1
[flight]
negative_ttl_ms = 0
${provider("up", 'cache = "all"')}${patient("up")}
${provider("an", 'kind = "anthropic"')}${patient("an")}
${provider("strict", 'extensions = "drop"')}
[agent.told]
models = ["an/plain"]
instructions = "Be brief."
${provider("plain", "stream_usage = false")}
${silent.map((first) => agent(first, "up")).join("")}
${["start-error", "block-error"].map((first) => agent(first, "an")).join("")}`);
  });

  after(async () => {
    assert.equal(await node.stop(), 0);
    await upstream.stop();
  });

  const ask = async (path, model, stream, more = {}, headers = {}) => {
    const response = await fetch(node.url + path, {
      method: "POST", headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ ...doors[path](model), ...(stream ? { stream: true } : {}), ...more }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const chat = (model, stream = true) => ask("/v1/chat/completions", model, stream);
  const chunksOf = (got) => got.text.split("\n\n").filter((one) => one.startsWith("data: {")).map((one) => JSON.parse(one.slice(6)));
  const textOf = (got) => chunksOf(got).map((one) => one.choices?.[0]?.delta?.content ?? "").join("");

  for (const first of ["role-error", "empty-error", "filter-error", "usage-error", "role-break", "start-error", "block-error"])
    test(`the next model answers behind ${first}`, async () => {
      for (const path of Object.keys(doors)) {
        const got = await ask(path, first, true);
        assert.equal(got.status, 200, path + got.text);
        assert.equal(got.headers.get("x-skep-provider"), "up");
        assert.equal(got.headers.get("x-skep-attempts"), "2");
        assert.match(got.text, /second/);
        assert.doesNotMatch(got.text, /"error":\{/);
      }
    });

  test("an overloaded Anthropic behind its preamble has the status of one", async () => {
    assert.equal((await ask("/v1/messages", "an/start-error", true)).status, 529);
    assert.equal((await chat("an/block-error")).status, 503);
  });

  test("keep-alive frames and cut characters come through", async () => {
    for (const path of Object.keys(doors)) {
      assert.match((await ask(path, "up/beats", true)).text, /he[^]*y/);
      const joined = await ask(path, "up/halves", true);
      assert.match(joined.text, /(\u{1F600}|\\ud83d\\ude00)b/u, path);
      assert.doesNotMatch(joined.text, /"error":\{/);
    }
    const beats = await chat("up/beats");
    assert.equal(textOf(beats), "hey");
    assert.match(beats.text, /\[DONE\]/);
  });

  test("a stream has the names of the first event that has any", async () => {
    const [about, ...got] = chunksOf(await chat("up/azure"));
    assert.equal(about.prompt_filter_results.length, 1); // The provider's own event about the prompt.
    assert.ok(got.every((one) => one.id === "c1" && one.model === "m"), JSON.stringify(got));
    assert.match((await ask("/v1/messages", "up/azure", true)).text, /"id":"msg_c1"[^]*"model":"m"/);
  });

  // Snowflake's never say how they ended, LiteLLM's only for one of several choices: [DONE] is their word for it.
  test("a stream that only says [DONE] ended by itself, at every door", async () => {
    const got = chunksOf(await chat("up/unfinished"));
    assert.deepEqual(got.map((one) => one.choices[0]?.finish_reason).filter(Boolean), ["stop"]);
    const messages = await ask("/v1/messages", "up/unfinished", true);
    assert.match(messages.text, /"stop_reason":"end_turn"/);
    assert.match(messages.text, /message_stop/);
    assert.match((await ask("/v1/responses", "up/unfinished", true)).text, /response\.completed/);
  });

  test("a choice finishes once, and is whole then", async () => {
    const twice = chunksOf(await chat("up/twice"));
    assert.equal(twice.filter((one) => one.choices[0]?.finish_reason).length, 1);
    assert.match((await chat("up/finish-break")).text, /\[DONE\]/);
    assert.match((await ask("/v1/responses", "up/finish-break", true)).text, /response\.completed/);
  });

  test("a choice that failed is an error at every door, and never kept", async () => {
    const got = await chat("up/choice-error");
    assert.match(got.text, /upstream died/);
    assert.doesNotMatch(got.text, /\[DONE\]/);
    assert.match((await ask("/v1/messages", "up/choice-error", true)).text, /event: error[^]*upstream died/);
    assert.match((await ask("/v1/responses", "up/choice-error", true)).text, /response\.failed/);
    for (const path of Object.keys(doors))
      for (let round = 0; round < 2; ++round)
        assert.equal((await ask(path, "up/whole-error", false)).status, 502, path);
  });

  test("JSON where a stream was asked is told as such", async () => {
    const refused = await chat("up/no-stream");
    assert.equal(refused.status, 400);
    assert.match(refused.text, /this model cannot stream/);
    const played = await chat("up/json-answer");
    assert.equal(textOf(played), "hey");
    assert.match(played.text, /\[DONE\]/);
  });

  test("prompts that a filter refused open no circuit", async () => {
    for (let round = 0; round < 8; ++round) {
      const got = await chat("plain/flagged", false);
      assert.equal(got.status, 400);
      assert.equal(JSON.parse(got.text).error.code, "content_filter");
    }
    assert.equal(textOf(await chat("plain/second")), "second");
  });

  test("a refusal says what was wrong, in whatever shape it came", async () => {
    const got = await chat("up/no-words", false);
    assert.equal(got.status, 422);
    assert.equal(JSON.parse(got.text).error.message, "messages[0]: Field required");
    assert.equal(JSON.parse(got.text).error.param, "messages[0]");
    assert.deepEqual(JSON.parse((await chat("up/too-hot", false)).text), models["too-hot"].body);
  });

  // A turn that thought and called a tool, and what the tool gave back.
  const loop = (id, result) => ({ messages: [
    { role: "user", content: "q" },
    { role: "assistant", content: [{ type: "thinking", thinking: "I call f", signature: "" }, { type: "tool_use", id, name: "f", input: {} }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: result }] },
  ] });

  test("a messages client's tool loop is said as OpenAI's servers take it", async () => {
    const shot = [{ type: "text", text: "here" }, { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } }];
    await ask("/v1/messages", "up/json-answer", false, loop("t1", shot));
    const [, thought, tool, shown] = upstream.asked.at(-1).messages;
    assert.equal(thought.reasoning_content, "I call f"); // DeepSeek refuses the turn without it.
    assert.deepEqual([tool.role, tool.content], ["tool", [{ type: "text", text: "here" }]]);
    assert.equal(shown.content.at(-1).image_url.url, "data:image/png;base64,aGk=");
    assert.equal(upstream.asked.at(-1).max_tokens, 9);
    await ask("/v1/messages", "strict/json-answer", false, loop("t1", shot));
    const strict = upstream.asked.at(-1);
    assert.deepEqual([strict.max_tokens, strict.max_completion_tokens], [undefined, 9]);
    assert.deepEqual(Object.keys(strict.messages[1]).sort(), ["content", "role", "tool_calls"]);
  });

  test("other providers' call ids are such as Anthropic takes, also in a client's own words", async () => {
    const call = { id: "functions.f:0", type: "function", function: { name: "f", arguments: "{}" } };
    await ask("/v1/chat/completions", "an/plain", false, { messages: [
      { role: "user", content: "q" }, { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: call.id, content: "r" }] });
    const sent = () => upstream.asked.at(-1).messages.slice(1).map(({ content }) => content.at(-1));
    assert.deepEqual([sent()[0].id, sent()[1].tool_use_id], ["functions_f_0", "functions_f_0"]);
    await ask("/v1/messages", "an/plain", false, loop(call.id, "r"));
    assert.deepEqual([sent()[0].id, sent()[1].tool_use_id], ["functions_f_0", "functions_f_0"]);
  });

  test("an agent's instructions leave the client's betas where they are", async () => {
    const got = await ask("/v1/messages", "told", false, { context_management: {} }, { "anthropic-beta": "context-management-2025-06-27" });
    assert.equal(got.status, 200);
    assert.equal(upstream.headers["anthropic-beta"], "context-management-2025-06-27");
    assert.equal(upstream.asked.at(-1).system, "Be brief.");
  });

  test("models say what their provider says of them, and each API hears of faults in its own form", async () => {
    const get = async (path, headers = {}) => (await fetch(node.url + path, { headers })).json();
    const anthropic = { "anthropic-version": "2023-06-01" };
    assert.deepEqual(await get("/v1/models/up%2Fm"), { id: "up/m", object: "model", created: 5, owned_by: "", max_model_len: 8 });
    assert.equal((await get("/v1/models", anthropic)).data.find(({ id }) => id === "up/m").max_model_len, 8);
    for (const path of ["/v1/models/nobody", "/v1/models/up%2Fnone", "/v1/files"]) {
      assert.equal((await get(path, anthropic)).error.type, "not_found_error", path);
      assert.equal((await get(path)).error.type, "invalid_request_error", path);
    }
  });

  test("stream_options is left out on wish", async () => {
    assert.equal(textOf(await chat("plain/second")), "second");
    assert.ok(!("stream_options" in upstream.asked.at(-1)));
    await chat("up/second");
    assert.equal((await chat("up/twice")).status, 200);
    assert.ok(upstream.asked.at(-1).stream_options.include_usage);
  });
});
