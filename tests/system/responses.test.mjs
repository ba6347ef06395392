// The ten cases that the Open Responses specification has a compliance kit for, against a real node.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { SkepNode, upstreamConfig } from "./support/node.mjs";
import { Upstream } from "./support/upstream.mjs";

let upstream;
let node;

before(async () => {
  upstream = await new Upstream().start();
  node = await SkepNode.start(upstreamConfig(upstream.url), { env: { UP_KEY: "k" } });
});

after(async () => {
  assert.equal(await node.stop(), 0);
  await upstream.stop();
});

const text = (value) => typeof value === "string";
const number = (value) => typeof value === "number";
const whole = (value) => Number.isInteger(value);
const flag = (value) => typeof value === "boolean";
const list = (value) => Array.isArray(value);
const object = (value) => typeof value === "object" && value !== null && !list(value);
const or_null = (fits) => (value) => value === null || fits(value);
const one_of = (...all) => (value) => all.includes(value);
const each = (members) => (value) => list(value) && value.every((one) => has(one, members) === undefined);

/// Fails when a member is missing or of another type.
function has(value, members) {
  for (const [name, fits] of Object.entries(members)) {
    assert.ok(name in value, `${name} is missing`);
    assert.ok(fits(value[name]), `${name} is ${JSON.stringify(value[name])}`);
  }
}

const response = {
  id: text, object: one_of("response"), created_at: whole, completed_at: or_null(whole),
  status: one_of("in_progress", "completed", "incomplete", "failed"), incomplete_details: or_null(object),
  model: text, previous_response_id: or_null(text), instructions: or_null(text), output: list, error: or_null(object),
  tools: each({ name: text, description: or_null(text), parameters: or_null(object), strict: or_null(flag) }),
  tool_choice: (value) => text(value) || object(value), truncation: one_of("auto", "disabled"),
  parallel_tool_calls: flag, text: (value) => text(value.format.type), top_p: number, presence_penalty: number,
  frequency_penalty: number, top_logprobs: whole, temperature: number, reasoning: or_null(object), usage: or_null(object),
  max_output_tokens: or_null(whole), max_tool_calls: or_null(whole), store: flag, background: flag,
  service_tier: text, metadata: object, safety_identifier: or_null(text), prompt_cache_key: or_null(text),
};
const items = {
  message: { id: text, role: one_of("assistant"), status: text, content: each({ type: text, text, annotations: list, logprobs: list }) },
  function_call: { id: text, call_id: text, name: text, arguments: text, status: text },
};

function check(value) {
  has(value, response);
  for (const item of value.output) has(item, items[item.type]);
  if (value.status === "completed") {
    assert.ok(value.completed_at >= value.created_at);
    has(value.usage, { input_tokens: whole, output_tokens: whole, total_tokens: whole,
      input_tokens_details: object, output_tokens_details: object });
  }
  return value;
}

const post = (body) => fetch(`${node.url}/v1/responses`, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
});

async function ask(input, extra = {}) {
  const answer = await post({ model: "up/echo", input, ...extra });
  assert.equal(answer.status, 200);
  return check(await answer.json());
}

/// The events of a stream, which ends in [DONE].
async function stream(input, extra = {}) {
  const answer = await post({ model: "up/echo", input, stream: true, ...extra });
  assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
  const frames = (await answer.text()).split("\n\n").filter(Boolean);
  assert.equal(frames.pop(), "data: [DONE]");
  return frames.map((frame, index) => {
    const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(frame);
    const event = JSON.parse(data);
    assert.equal(event.type, name);
    assert.equal(event.sequence_number, index);
    if (event.response) check(event.response);
    return event;
  });
}

const said = (made) => made.output.find((item) => item.type === "message").content[0].text;
const message = (role, content) => ({ type: "message", role, content });
const add = { type: "function", name: "add", description: "Adds.", parameters: { type: "object", properties: {} } };
const tools = { model: "up/tools", tools: [add] };

test("basic: a text is answered", async () => {
  const made = await ask([message("user", "hello")]);
  assert.equal(made.status, "completed");
  assert.equal(said(made), "you said: hello");
});

test("streaming: the deltas are the text", async () => {
  const events = await stream([message("user", "one two")]);
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), "you said: one two");
  assert.equal(events.at(-1).type, "response.completed");
});

test("system prompt: it goes before the conversation", async () => {
  await ask([message("system", "Be a pirate."), message("user", "ahoy")]);
  assert.deepEqual(upstream.requests.at(-1).body.messages[0], { role: "system", content: "Be a pirate." });
});

test("tool calling: the call is an item", async () => {
  const made = await ask([message("user", "add")], tools);
  assert.deepEqual(made.output.map((item) => item.name), ["add"]);
  assert.deepEqual(JSON.parse(made.output[0].arguments), { a: 1 });
});

test("tool calling, streamed: the deltas are the arguments", async () => {
  const events = await stream([message("user", "add streamed")], tools);
  const deltas = events.filter((event) => event.type === "response.function_call_arguments.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), '{"a":1}');
  assert.equal(events.at(-1).response.output[0].type, "function_call");
});

test("image input: the image reaches the provider", async () => {
  const image_url = "data:image/png;base64,iVBORw0KGgo=";
  await ask([message("user", [{ type: "input_text", text: "what?" }, { type: "input_image", image_url }])]);
  assert.equal(upstream.requests.at(-1).body.messages[0].content[1].image_url.url, image_url);
});

test("multi-turn: the history goes along", async () => {
  await ask([message("user", "I am Ann"), message("assistant", "Hello Ann"), message("user", "who am I?")]);
  assert.deepEqual(upstream.requests.at(-1).body.messages.map((each) => each.role), ["user", "assistant", "user"]);
});

test("function call round trip: the output follows its call", async () => {
  const asked = message("user", "add again");
  const [call] = (await ask([asked], tools)).output;
  await ask([asked, call, { type: "function_call_output", call_id: call.call_id, output: "2" }], { tools: [add] });
  const [, called, returned] = upstream.requests.at(-1).body.messages;
  assert.equal(called.tool_calls[0].id, returned.tool_call_id);
  assert.equal(returned.content, "2");
});

test("file input: the file reaches the provider", async () => {
  const file = { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERg==" };
  await ask([message("user", [{ type: "input_text", text: "read" }, { type: "input_file", ...file }])]);
  assert.deepEqual(upstream.requests.at(-1).body.messages[0].content[1].file, file);
});

test("previous response id: the conversation goes on", async () => {
  const first = await ask([message("user", "remember seven")]);
  const next = await ask([message("user", "which?")], { previous_response_id: first.id });
  assert.equal(next.previous_response_id, first.id);
  assert.equal(upstream.requests.at(-1).body.messages[1].content, "you said: remember seven");
});
