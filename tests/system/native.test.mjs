// Where client and provider speak one API, what either wrote reaches the other as it was.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { LoopbackServer } from "./support/loopback_server.mjs";
import { SkepNode } from "./support/node.mjs";

const message = (extra = "") => `{"id":"msg_up", "type":"message","role":"assistant","model":"m","content":[`
  + `{"type":"thinking","thinking":"hm","signature":"c2ln"},`
  + `{"type":"text","text":"One.","citations":[{"type":"page_location","cited_text":"\\u00e9","p":1.50}]},`
  + `{"type":"server_tool_use","id":"s","name":"web_search","input":{"q":"x"}},`
  + `{"type":"web_search_tool_result","tool_use_id":"s","content":[{"type":"web_search_result","url":"u"}]},`
  + `{"type":"text","text":"Two."}],"stop_reason":"end_turn","stop_sequence":null,`
  + `"usage":{"input_tokens":3,"output_tokens":9,"inference_geo":"global"}${extra}}`;

const event = (data) => `event: ${JSON.parse(data).type}\ndata: ${data}\n\n`;
const messageEvents = [
  `{"type":"message_start","message":{"id":"msg_up","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}`,
  `{"type": "ping"}`,
  `{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
  `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`,
  `{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`,
  `{"type":"content_block_stop","index":0}`,
  `{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`,
  `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"One. "}}`,
  `{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"p":1.50}}}`,
  `{"type":"content_block_stop","index":1}`,
  `{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}`,
  `{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Two."}}`,
  `{"type":"content_block_stop","index":2}`,
  `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9},"context_management":{"applied_edits":[]}}`,
  `{"type":"message_stop"}`,
].map(event).join("");

const chat = `{"id": "chatcmpl-up","object":"chat.completion","created":7,"model":"m-2024","choices":[{"index":0,"message":{"role":"assistant","content":"hi","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":1.50e-3},"service_tier":"default"}`;
const chunk = (choices, more = "") => `data: {"id":"chatcmpl-up","object":"chat.completion.chunk","created":7,"model":"m-2024","service_tier":"default","choices":${choices},"usage":null,"obfuscation":"x1"${more}}\n\n`;
const chatPieces = chunk(`[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]`)
  + chunk(`[{"index":0,"delta":{"content":"hi"},"logprobs":null,"finish_reason":null}]`)
  + chunk(`[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]`);
const chatUsage = `data: {"id":"chatcmpl-up","object":"chat.completion.chunk","created":7,"model":"m-2024","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n`;

/// Says one thing for each API, whole or streamed, and keeps what it was asked.
class Provider extends LoopbackServer {
  asked = [];

  serve(request, response) {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      this.asked.push({ text, headers: request.headers });
      const messages = request.url.endsWith("/messages");
      const limits = { "x-ratelimit-remaining-tokens": "7", "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z", "x-internal": "no" };
      if (request.url.endsWith("/count_tokens")) return this.#count(response, text);
      if (JSON.parse(text).stream) {
        response.writeHead(200, { "content-type": "text/event-stream", ...limits });
        response.end(messages ? messageEvents : `${chatPieces}${chatUsage}data: [DONE]\n\n`);
      } else {
        response.writeHead(200, { "content-type": "application/json", ...limits });
        response.end(messages ? message() : chat);
      }
    });
  }

  #count(response, text) {
    const refused = text.includes("refuse");
    response.writeHead(text.includes("busy") ? 529 : refused ? 400 : 200, { "content-type": "application/json" });
    response.end(refused ? `{"type":"error","error":{"type":"invalid_request_error","message":"no such beta"}}` : `{"input_tokens": 4321, "extra":1}`);
  }
}

let provider;
let node;

before(async () => {
  provider = await new Provider().start();
  node = await SkepNode.start(`
[log]
level = "error"
[provider.claude]
kind = "anthropic"
base_url = "${provider.url}"
api_key = "env.UP_KEY"
[provider.gpt]
kind = "openai"
base_url = "${provider.url}"
[agent.polite]
instructions = "Be polite."
models = ["claude/m"]
[agent.curt]
instructions = "Be curt."
models = ["gpt/m"]
`, { env: { UP_KEY: "a-key-of-the-node" } });
});

after(async () => {
  assert.equal(await node.stop(), 0);
  await provider.stop();
});

async function post(path, body, headers = {}) {
  const response = await fetch(`${node.url}${path}`, {
    method: "POST", headers: { "content-type": "application/json", ...headers }, body,
  });
  assert.equal(response.status, 200);
  return response.text();
}

test("messages: request, headers and answer are what the other side wrote", async () => {
  const body = `{ "max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}],"top_k":1e1,"mcp_servers":[{"url":"u"}], "model":"claude/m"}`;
  const answer = await post("/v1/messages", body, { "anthropic-beta": "beta-1,beta-2", "anthropic-version": "2023-06-01", "x-api-key": "the client's" });
  assert.equal(answer, message());
  const { text, headers } = provider.asked.at(-1);
  assert.equal(text, body.replace("claude/m", "m"));
  assert.equal(headers["anthropic-beta"], "beta-1,beta-2");
  assert.equal(headers["x-api-key"], "a-key-of-the-node");
});

test("messages: a system turn may say what only Anthropic knows", async () => {
  const body = `{"model":"claude/m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"system","content":[{"type":"tool_addition","tool":{"type":"tool_reference","name":"t"}}]}]}`;
  await post("/v1/messages", body);
  assert.equal(provider.asked.at(-1).text, body.replace("claude/m", "m"));
});

test("messages: a stream is passed on event by event, pings as well", async () => {
  const body = `{"model":"claude/m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"b"}]}`;
  assert.equal(await post("/v1/messages", body), messageEvents);
});

test("messages: what is kept is served as it came, whole and streamed, under an id of its own", async () => {
  const ask = (stream) => post("/v1/messages", JSON.stringify({
    model: "claude/m", max_tokens: 5, temperature: 0, stream, messages: [{ role: "user", content: "kept" }],
  }));
  const asked = provider.asked.length;
  assert.equal(await ask(true), messageEvents);
  const again = await ask(true);
  const id = /"id":"(msg_[^"]+)"/.exec(again)[1];
  assert.notEqual(id, "msg_up");
  assert.match(again, /event: content_block_delta\ndata: .*"signature_delta","signature":"c2ln"/);
  assert.match(again, /"citation":\{"p":1.50\}/);
  assert.match(again, /event: message_stop\n/);
  const whole = JSON.parse(await ask(false));
  assert.equal(provider.asked.length, asked + 1);
  assert.deepEqual(whole.content.map((each) => each.type), ["thinking", "text", "text"]);
  assert.equal(whole.content[0].signature, "c2ln");
  assert.deepEqual(whole.content[1].citations, [{ p: 1.5 }]);
  assert.deepEqual(whole.usage, { input_tokens: 3, output_tokens: 9 });
});

test("messages: requests that differ in what only the API knows do not share an answer", async () => {
  const ask = (extra) => post("/v1/messages", JSON.stringify({
    model: "claude/m", max_tokens: 5, temperature: 0, ...extra,
    messages: [{ role: "user", content: [{ type: "text", text: "apart" }] }],
  }));
  const asked = provider.asked.length;
  await ask({});
  await ask({ mcp_servers: [{ url: "u" }] });
  await ask({ metadata: { user_id: "somebody" } });
  assert.equal(provider.asked.length, asked + 2);
});

test("chat: request and answer are what the other side wrote", async () => {
  const body = `{ "model" : "gpt/m","messages":[{"role":"user","content":"a"}],"seed":1e2, "future":{"b":1,"a":[]} }`;
  assert.equal(await post("/v1/chat/completions", body), chat);
  assert.equal(provider.asked.at(-1).text, body.replace("gpt/m", "m"));
});

test("chat: a stream is passed on event by event, usage to whom asks for it", async () => {
  const body = (options) => `{"model":"gpt/m","stream":true,"messages":[{"role":"user","content":"b"}]${options}}`;
  assert.equal(await post("/v1/chat/completions", body("")), `${chatPieces}data: [DONE]\n\n`);
  assert.equal(JSON.parse(provider.asked.at(-1).text).stream_options.include_usage, true);
  assert.equal(await post("/v1/chat/completions", body(`,"stream_options":{"include_usage":true}`)),
    `${chatPieces}${chatUsage}data: [DONE]\n\n`);
});

test("a body of which parsers read different things is written anew", async () => {
  const body = `{"model":"gpt/other","messages":[{"role":"user","content":"c"}],"model":"gpt/m"}`;
  await post("/v1/chat/completions", body);
  assert.equal(provider.asked.at(-1).text.match(/"model"/g).length, 1);
  assert.equal(JSON.parse(provider.asked.at(-1).text).model, "m");
});

test("what a provider says of its rate limits reaches the client it answers", async () => {
  for (const [path, model] of [["/v1/chat/completions", "gpt/m"], ["/v1/messages", "claude/m"]])
    for (const stream of [false, true]) {
      const answer = await fetch(`${node.url}${path}`, {
        method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ model, stream, max_tokens: 5, messages: [{ role: "user", content: "limits" }] }),
      });
      await answer.text();
      assert.equal(answer.headers.get("x-ratelimit-remaining-tokens"), "7");
      assert.equal(answer.headers.get("anthropic-ratelimit-tokens-reset"), "2026-01-01T00:00:00Z");
      assert.equal(answer.headers.get("x-internal"), null);
    }
});

test("messages: the provider counts tokens, and where it cannot it is an estimate", async () => {
  const count = async (model, content) => {
    const answer = await fetch(`${node.url}/v1/messages/count_tokens`, {
      method: "POST", headers: { "content-type": "application/json", "anthropic-beta": "beta-1" },
      body: JSON.stringify({ model, messages: [{ role: "user", content }] }),
    });
    return { status: answer.status, body: await answer.json() };
  };
  assert.deepEqual(await count("claude/m", "hello"), { status: 200, body: { input_tokens: 4321, extra: 1 } });
  assert.equal(provider.asked.at(-1).headers["anthropic-beta"], "beta-1");
  assert.equal(JSON.parse(provider.asked.at(-1).text).model, "m");
  for (const [model, content] of [["gpt/m", "hello"], ["claude/m", "busy"]]) {
    const { status, body } = await count(model, content);
    assert.equal(status, 200);
    assert.ok(body.input_tokens > 0 && body.input_tokens < 100);
  }
  // However often it cannot count, it answers.
  for (let n = 0; n < 12; ++n) await count("claude/m", "busy");
  await post("/v1/messages", JSON.stringify({ model: "claude/m", max_tokens: 5, messages: [{ role: "user", content: "still there" }] }));
  const refused = await count("claude/m", "refuse");
  assert.equal(refused.status, 400);
  assert.equal(refused.body.error.message, "no such beta");
});

test("an agent adds its instructions, and the answer still comes as the provider wrote it", async () => {
  const ask = (model, stream) => JSON.stringify({ model, max_tokens: 5, stream, messages: [{ role: "user", content: "hi" }] });
  assert.equal(await post("/v1/messages", ask("polite", false), { "anthropic-beta": "beta-1" }), message());
  const { text, headers } = provider.asked.at(-1);
  assert.match(JSON.stringify(JSON.parse(text).system), /Be polite/);
  assert.equal(headers["anthropic-beta"], "beta-1");
  assert.equal(await post("/v1/messages", ask("polite", true)), messageEvents);
  assert.equal(await post("/v1/chat/completions", ask("curt", false)), chat);
  assert.equal(JSON.parse(provider.asked.at(-1).text).messages[0].content, "Be curt.");
});
