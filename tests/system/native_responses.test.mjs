// The Responses API in front of providers that have it: what goes out, what comes back, and what of
// a conversation only they can go on with.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { LoopbackServer } from "./support/loopback_server.mjs";
import { SkepNode } from "./support/node.mjs";

const message = (text) => `{"id":"msg_up1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":${JSON.stringify(text)},"annotations":[{"type":"url_citation","url":"u","start_index":0,"end_index":1,"title":"t"}],"logprobs":[]}]}`;
const search = `{"id":"ws_up1","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}`;
const usage = `{"input_tokens":11,"input_tokens_details":{"cached_tokens":3},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":18}`;

/// As the provider writes a response: white space, exponents and unknown members as well.
const response = (id, items, previous, state = "completed") =>
  `{"id": "${id}","object":"response","created_at":1700000000.0,"status":"${state}","background":false,"error":null,"incomplete_details":null,"model":"m-2025","output":[${items.join(",")}],"previous_response_id":${previous ? `"${previous}"` : "null"},"top_p":1.0e0,"billing":{"payer":"developer"},"usage":${state === "completed" ? usage : "null"}}`;

const events = (id, previous) => {
  let sequence = 0;
  const event = (type, members) => `event: ${type}\ndata: {"type":"${type}","sequence_number":${sequence++},${members}}\n\n`;
  return [
    event("response.created", `"response":${response(id, [], previous, "in_progress")}`),
    event("response.in_progress", `"response":${response(id, [], previous, "in_progress")}`),
    event("response.output_item.added", `"output_index":0,"item":${search.replace("completed", "in_progress")}`),
    event("response.web_search_call.searching", `"output_index":0,"item_id":"ws_up1"`),
    event("response.output_item.done", `"output_index":0,"item":${search}`),
    event("response.output_item.added", `"output_index":1,"item":{"id":"msg_up1","type":"message","status":"in_progress","role":"assistant","content":[]}`),
    event("response.content_part.added", `"item_id":"msg_up1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}`),
    event("response.output_text.delta", `"item_id":"msg_up1","output_index":1,"content_index":0,"delta":"It ","logprobs":[],"obfuscation":"zz"`),
    event("response.output_text.delta", `"item_id":"msg_up1","output_index":1,"content_index":0,"delta":"is.","logprobs":[],"obfuscation":"z"`),
    event("response.output_text.annotation.added", `"item_id":"msg_up1","output_index":1,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation","url":"u"}`),
    event("response.output_text.done", `"item_id":"msg_up1","output_index":1,"content_index":0,"text":"It is.","logprobs":[]`),
    event("response.content_part.done", `"item_id":"msg_up1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"It is.","annotations":[],"logprobs":[]}`),
    event("response.output_item.done", `"output_index":1,"item":${message("It is.")}`),
    event("response.completed", `"response":${response(id, [search, message("It is.")], previous)}`),
  ].join("");
};

/// Has both APIs, keeps its responses, and refuses to go on from one it does not know.
class Provider extends LoopbackServer {
  asked = [];
  #known = new Set();

  serve(request, answer) {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      const body = JSON.parse(text);
      this.asked.push({ path: request.url, text, body });
      if (!request.url.endsWith("/responses")) return this.#chat(answer, body);
      const refused = this.#refusal(body);
      if (refused) return this.#send(answer, 400, refused);
      const id = `resp_up${this.asked.length}`;
      this.#known.add(id);
      const previous = body.previous_response_id;
      if (body.stream) {
        answer.writeHead(200, { "content-type": "text/event-stream" });
        return answer.end(events(id, previous));
      }
      return this.#send(answer, 200, response(id, [search, message("It is.")], previous));
    });
  }

  #refusal(body) {
    if (body.previous_response_id && !this.#known.has(body.previous_response_id))
      return `{"error":{"message":"Previous response with id '${body.previous_response_id}' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}`;
    if (body.input === "refuse")
      return `{"error":{"message":"no such tool","type":"invalid_request_error","param":"tools[0]","code":"odd_code","extra":1}}`;
    return undefined;
  }

  #chat(answer, body) {
    this.#send(answer, 200, JSON.stringify({
      id: "chatcmpl-1", object: "chat.completion", created: 7, model: body.model,
      choices: [{ index: 0, message: { role: "assistant", content: "as a chat" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }));
  }

  #send(answer, status, text) {
    answer.writeHead(status, { "content-type": "application/json" });
    answer.end(text);
  }
}

let provider;
let node;
let client;

before(async () => {
  provider = await new Provider().start();
  node = await SkepNode.start(`
[log]
level = "error"
[provider.has]
base_url = "${provider.url}"
responses = "true"
[provider.hasnt]
base_url = "${provider.url}"
[agent.terse]
instructions = "Be brief."
models = ["has/m"]
[agent.either]
models = ["hasnt/m", "has/m"]
`);
  client = new OpenAI({ baseURL: `${node.url}/v1`, apiKey: "any", maxRetries: 0 });
});

after(async () => {
  assert.equal(await node.stop(), 0);
  await provider.stop();
});

async function post(body) {
  const answer = await fetch(`${node.url}/v1/responses`, {
    method: "POST", headers: { "content-type": "application/json" }, body,
  });
  return { status: answer.status, text: await answer.text() };
}

/// The answer with the provider's name for it in the place of ours.
const asUpstream = (text, id) => text.replaceAll(/resp_[0-9a-f]{48}/g, id);
const hosted = `"tools":[{"type":"web_search","search_context_size":"low"},{"type":"code_interpreter","container":{"type":"auto"}}]`;

test("request and answer are what the other side wrote, but for the response's name", async () => {
  const body = `{ "input":[{"role":"user","content":"q"},{"type":"item_reference","id":"rs_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b"}],${hosted},"include":["web_search_call.action.sources"], "temperature":1e0,"model":"has/m"}`;
  const { status, text } = await post(body);
  assert.equal(status, 200);
  const asked = provider.asked.at(-1);
  assert.equal(asked.path, "/v1/responses");
  assert.equal(asked.text, body.replace("has/m", "m"));
  assert.equal(asUpstream(text, `resp_up${provider.asked.length}`),
               response(`resp_up${provider.asked.length}`, [search, message("It is.")]));
});

test("a stream is passed on event by event", async () => {
  const { text } = await post(`{"model":"has/m","input":"q","stream":true,${hosted}}`);
  const id = `resp_up${provider.asked.length}`;
  assert.equal(asUpstream(text, id), events(id));
});

test("the official client streams, goes on, and finds what was kept", async () => {
  const tools = [{ type: "web_search" }, { type: "file_search", vector_store_ids: ["vs_1"] }];
  const stream = client.responses.stream({ model: "has/m", input: "one", tools });
  const first = await stream.finalResponse();
  assert.match(first.id, /^resp_[0-9a-f]{48}$/);
  assert.equal(first.output_text, "It is.");
  assert.equal(first.usage.output_tokens_details.reasoning_tokens, 2);
  const name = `resp_up${provider.asked.length}`;

  const second = await client.responses.create({ model: "has/m", input: "two", previous_response_id: first.id });
  assert.equal(provider.asked.at(-1).body.previous_response_id, name);
  assert.equal(provider.asked.at(-1).body.input, "two");
  assert.equal(second.previous_response_id, first.id);

  const kept = await client.responses.retrieve(second.id);
  assert.deepEqual(kept.output, second.output);
  assert.deepEqual(kept.billing, { payer: "developer" });
  const items = await client.responses.inputItems.list(second.id, { order: "asc" });
  assert.deepEqual(items.data.map((item) => item.type), ["message", "web_search_call", "message", "message"]);
});

test("a provider without the API gets the conversation as a chat, as far as a chat can say it", async () => {
  const first = await client.responses.create({ model: "has/m", input: "one" });
  const refused = client.responses.create({ model: "hasnt/m", input: "two", previous_response_id: first.id });
  await assert.rejects(refused, (why) => why.status === 400 && /web_search_call/.test(why.message));
  const plain = await client.responses.create({ model: "hasnt/m", input: [{ role: "user", content: "two" }] });
  assert.equal(plain.output_text, "as a chat");
  assert.equal(provider.asked.at(-1).path, "/v1/chat/completions");
  // Nobody but us knows that response: its words go out, not its name.
  const on = await client.responses.create({ model: "has/m", input: "three", previous_response_id: plain.id });
  assert.equal(on.output_text, "as a chat");
  assert.deepEqual(provider.asked.at(-1).body.messages.map((each) => each.content), ["two", "as a chat", "three"]);
});

test("who keeps the conversation is asked first", async () => {
  const first = await client.responses.create({ model: "has/m", input: "one" });
  const next = await client.responses.create({ model: "either", input: "two", previous_response_id: first.id });
  assert.equal(provider.asked.at(-1).path, "/v1/responses");
  assert.equal(next.output_text, "It is.");
});

test("an agent with instructions speaks for itself, and says so of what it cannot say", async () => {
  const answer = await client.responses.create({ model: "terse", input: "q" });
  assert.equal(answer.output_text, "as a chat");
  assert.equal(provider.asked.at(-1).body.messages[0].content, "Be brief.");
  const hostedOnly = client.responses.create({ model: "terse", input: "q", tools: [{ type: "mcp", server_label: "s", server_url: "u" }] });
  await assert.rejects(hostedOnly, (why) => why.status === 400 && why.param === "tools[0].type");
});

test("a refusal comes in the provider's own words", async () => {
  const { status, text } = await post(`{"model":"has/m","input":"refuse"}`);
  assert.equal(status, 400);
  assert.deepEqual(JSON.parse(text).error, { message: "no such tool", type: "invalid_request_error", param: "tools[0]", code: "odd_code", extra: 1 });
});

test("what is kept in the cache is played as it came, whole and streamed, under names of its own", async () => {
  const ask = (stream) => post(`{"model":"has/m","input":"kept","temperature":0,"stream":${stream}}`);
  const before = provider.asked.length;
  const streamed = await ask(true);
  const id = `resp_up${provider.asked.length}`;
  assert.equal(asUpstream(streamed.text, id), events(id));
  const whole = await ask(false);
  assert.equal(asUpstream(whole.text, id), response(id, [search, message("It is.")]));
  const names = [streamed, whole].map(({ text }) => /resp_[0-9a-f]{48}/.exec(text)[0]);
  assert.notEqual(names[0], names[1]);
  const again = await client.responses.stream({ model: "has/m", input: "kept", temperature: 0 }).finalResponse();
  assert.equal(again.output_text, "It is.");
  const asRead = JSON.parse(JSON.stringify(again.output), (name, value) => (name === "parsed" ? undefined : value));
  assert.deepEqual(asRead, JSON.parse(whole.text).output);
  assert.equal(provider.asked.length, before + 1);
  // Its name upstream is known, so that it can be gone on from.
  await client.responses.create({ model: "has/m", input: "on", previous_response_id: again.id });
  assert.equal(provider.asked.at(-1).body.previous_response_id, id);
});

test("of an agent's models that one is asked which can serve the request", async () => {
  const answer = await client.responses.create({ model: "either", input: "q", tools: [{ type: "file_search", vector_store_ids: ["vs_1"] }] });
  assert.equal(answer.output_text, "It is.");
  assert.equal(provider.asked.at(-1).path, "/v1/responses");
});

test("what is wrong, or served nowhere, is refused before anybody is asked", async () => {
  const before = provider.asked.length;
  for (const [member, text] of [["conversation", `"conversation":"conv_1"`], ["background", `"background":true`],
                                ["previous_response_id", `"previous_response_id":"resp_up1"`]]) {
    const { status, text: body } = await post(`{"model":"has/m","input":"q",${text}}`);
    assert.ok(status === 400 || status === 404);
    assert.equal(JSON.parse(body).error.param, member);
  }
  assert.equal(provider.asked.length, before);
});
