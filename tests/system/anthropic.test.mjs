// Anthropic's official client against a node whose provider speaks Anthropic's API, and against one
// whose provider speaks OpenAI's: for the client there is no difference.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { SkepNode } from "./support/node.mjs";
import { failureOf, kinds, providerConfig, Simulated } from "./support/simulate.mjs";

const weather = {
  name: "get_weather",
  description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city", "days"] },
};
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const last = (body) => body.messages.at(-1);

for (const kind of kinds) {
  describe(`Anthropic's client, ${kind} provider`, { concurrency: 1 }, () => {
    let upstream;
    let node;
    let client;

    before(async () => {
      upstream = await Simulated.start({ sets: ["upstream.key_required=true", "upstream.models_only=true", "upstream.first_token_ms=2", "upstream.tokens_per_s=100"] });
      node = await SkepNode.start(providerConfig(kind, upstream), { env: { UP_KEY: "k" } });
      // What is asked twice is to reach the provider twice.
      const defaultHeaders = { "cache-control": "no-store" };
      client = new Anthropic({ baseURL: node.url, apiKey: "any", maxRetries: 0, defaultHeaders });
    });

    after(async () => {
      assert.equal(await node.stop(), 0);
      assert.equal(await upstream.stop(), 0);
    });

    const parameters = (text, extra = {}) => ({
      model: "up/small", max_tokens: 200, messages: [{ role: "user", content: text }], ...extra,
    });
    const ask = (text, extra = {}) => client.messages.create(parameters(text, extra));

    test("a message comes back whole, with usage and request id", async () => {
      const { data, response } = await ask("Repeat: hello there").withResponse();
      assert.equal(data.type, "message");
      assert.equal(data.role, "assistant");
      assert.deepEqual(data.content.map((block) => block.type), ["text"]);
      assert.equal(data.content[0].text, "[simulated] hello there");
      assert.equal(data.stop_reason, "end_turn");
      assert.equal(data.stop_sequence, null);
      assert.ok(data.usage.input_tokens > 0);
      assert.equal(data.usage.output_tokens, 3);
      assert.match(response.headers.get("x-request-id"), /^[0-9a-f-]{36}$/);
      assert.equal(data._request_id, response.headers.get("request-id"));
    });

    test("the call reaches the provider in its own dialect", async () => {
      await client.messages.create({
        model: "helper", max_tokens: 77, temperature: 0.25, system: "Be kind.", stop_sequences: ["END"],
        messages: [{ role: "user", content: "Repeat: x" }, { role: "assistant", content: "x" }, { role: "user", content: "Repeat: y" }],
      });
      const call = (await upstream.calls()).at(-1);
      assert.equal(call.key, true);
      assert.equal(call.path, kind === "openai" ? "/v1/chat/completions" : "/v1/messages");
      assert.equal(call.body.temperature, 0.25);
      const system = kind === "openai" ? call.body.messages.filter((each) => each.role === "system") : call.body.system;
      assert.match(JSON.stringify(system), /Be brief\..*Be kind\./);
      const conversation = call.body.messages.filter((each) => each.role !== "system");
      assert.deepEqual(conversation.map((each) => each.role), ["user", "assistant", "user"]);
      assert.deepEqual(kind === "openai" ? call.body.stop : call.body.stop_sequences, ["END"]);
      assert.equal(call.body.max_tokens ?? call.body.max_completion_tokens, 77);
    });

    test("a stream says the same, event by event", async () => {
      const types = [];
      let text = "";
      let usage;
      for await (const event of await ask("Repeat: one two three", { stream: true })) {
        if (event.type !== "ping" && types.at(-1) !== event.type) types.push(event.type);
        if (event.type === "message_start") {
          assert.equal(event.message.role, "assistant");
          assert.deepEqual(event.message.content, []);
        }
        if (event.type === "content_block_start") assert.deepEqual(event.content_block, { type: "text", text: "" });
        if (event.type === "content_block_delta") text += event.delta.text;
        if (event.type === "message_delta") {
          assert.equal(event.delta.stop_reason, "end_turn");
          usage = event.usage;
        }
      }
      assert.deepEqual(types, [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
      ]);
      assert.equal(text, "[simulated] one two three");
      assert.equal(usage.output_tokens, 4);
    });

    test("the client's own stream helper agrees", async () => {
      const stream = client.messages.stream(parameters("Repeat: a helper"));
      assert.equal(await stream.finalText(), "[simulated] a helper");
      assert.equal((await stream.finalMessage()).stop_reason, "end_turn");
    });

    test("a tool is called, whole and streamed, and its result answered", async () => {
      const question = { role: "user", content: "please get_weather" };
      const whole = await ask(question.content, { tools: [weather] });
      assert.equal(whole.stop_reason, "tool_use");
      const call = whole.content.find((block) => block.type === "tool_use");
      assert.equal(call.name, "get_weather");
      assert.deepEqual(call.input, { city: "simulated", days: 1 });

      const streamed = await client.messages.stream(parameters(question.content, { tools: [weather] })).finalMessage();
      assert.equal(streamed.stop_reason, "tool_use");
      const again = streamed.content.find((block) => block.type === "tool_use");
      assert.ok(again.id);
      assert.deepEqual([again.name, again.input], ["get_weather", { city: "simulated", days: 1 }]);

      for (const content of ["sunny, 22 degrees", [{ type: "text", text: "sunny, 22 degrees" }]]) {
        const answer = await client.messages.create({
          model: "up/small", max_tokens: 200, tools: [weather],
          messages: [question, { role: "assistant", content: whole.content },
                     { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content }] }],
        });
        assert.equal(textOf(answer), "[simulated] The tool said: sunny, 22 degrees");
      }
    });

    test("the tool runner falls back to whole conversations", async () => {
      const run = async () => "sunny, 22 degrees";
      const answer = await client.beta.messages.toolRunner({
        model: "up/small", max_tokens: 200, tools: [{ ...weather, run }],
        messages: [{ role: "user", content: "please get_weather" }],
      });
      assert.equal(textOf(answer), "[simulated] The tool said: sunny, 22 degrees");
    });

    test("a thread is refused in the words the client knows", async () => {
      const asked = client.messages.create({ ...parameters("hello"), thread: { type: "create" } });
      const error = await asked.then(() => null, (failed) => failed);
      assert.equal(error?.status, 400);
      assert.deepEqual(error.error.error.details,
        { error_code: "thread_unsupported_request", unsupported: ["thread"] });
    });

    test("a tool can be forced, and forbidden", async () => {
      for (const tool_choice of [{ type: "any" }, { type: "tool", name: "get_weather" }])
        assert.equal((await ask("hello", { tools: [weather], tool_choice })).stop_reason, "tool_use");
      assert.equal((await ask("please get_weather", { tools: [weather], tool_choice: { type: "none" } })).stop_reason, "end_turn");
    });

    test("limits and stop sequences end a message", async () => {
      const cut = await ask("Repeat: one two three four", { max_tokens: 2 });
      assert.equal(cut.stop_reason, "max_tokens");
      assert.equal(textOf(cut), "[simulated] one");
      const stopped = await ask("Repeat: one two three four", { stop_sequences: [" three"] });
      assert.equal(textOf(stopped), "[simulated] one two");
      // OpenAI's API does not say which one it was, nor that it was one.
      if (kind === "anthropic") assert.deepEqual([stopped.stop_reason, stopped.stop_sequence], ["stop_sequence", " three"]);
      else assert.ok(["end_turn", "stop_sequence"].includes(stopped.stop_reason));
    });

    test("an image reaches the provider as it wants it", async () => {
      const image = { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } };
      await client.messages.create({
        model: "up/small", max_tokens: 50, messages: [{ role: "user", content: [{ type: "text", text: "Repeat: seen" }, image] }],
      });
      const sent = last(await upstream.lastBody()).content[1];
      if (kind === "anthropic") assert.deepEqual(sent, image);
      else assert.equal(sent.image_url.url, `data:image/png;base64,${pixel}`);
    });

    test("thoughts come first, and go back as they came", async () => {
      const thinking = { type: "enabled", budget_tokens: 1024 };
      const question = { role: "user", content: "Repeat: thought out" };
      const whole = await ask(question.content, { max_tokens: 2000, thinking });
      assert.equal(textOf(whole), "[simulated] thought out");
      if (kind === "openai") return; // It has nothing of the kind to pass on.
      assert.deepEqual(whole.content.map((block) => block.type), ["thinking", "text"]);
      assert.equal(whole.content[0].thinking, "Let me think about this first.");
      assert.ok(whole.content[0].signature);

      const streamed = await client.messages.stream(parameters(question.content, { max_tokens: 2000, thinking })).finalMessage();
      assert.deepEqual(streamed.content.map((block) => block.type), ["thinking", "text"]);
      assert.equal(streamed.content[0].thinking, whole.content[0].thinking);
      assert.equal(streamed.content[0].signature, whole.content[0].signature);

      await client.messages.create({
        model: "up/small", max_tokens: 2000, thinking,
        messages: [question, { role: "assistant", content: whole.content }, { role: "user", content: "Repeat: more" }],
      });
      const body = await upstream.lastBody();
      assert.deepEqual(body.thinking, thinking);
      assert.deepEqual(body.messages[1].content[0], whole.content[0]);
    });

    test("marks for the provider's prompt cache pass through", async () => {
      const cache_control = { type: "ephemeral" };
      await client.messages.create({
        model: "up/small", max_tokens: 50,
        messages: [{ role: "user", content: [{ type: "text", text: "Repeat: cached", cache_control }] }],
      });
      const { content } = last(await upstream.lastBody());
      if (kind === "anthropic") assert.deepEqual(content[0].cache_control, cache_control);
      assert.match(JSON.stringify(content), /Repeat: cached/);
    });

    test("sixty-four at a time are answered, each with its own answer", async () => {
      const all = await Promise.all(Array.from({ length: 64 }, (_, n) =>
        n % 2 ? ask(`Repeat: number ${n}`).then(textOf) : client.messages.stream(parameters(`Repeat: number ${n}`)).finalText()));
      all.forEach((text, n) => assert.equal(text, `[simulated] number ${n}`));
    });

    test("what is wrong with a call is said in Anthropic's words", async () => {
      const cases = [
        [() => client.messages.create({ ...parameters("x"), model: "up/nobody" }), Anthropic.NotFoundError, "not_found_error"],
        [() => client.messages.create({ ...parameters("x"), messages: [] }), Anthropic.BadRequestError, "invalid_request_error"],
        [() => client.messages.create({ ...parameters("x"), messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "nobody", content: "y" }] }] }),
         Anthropic.BadRequestError, "invalid_request_error"],
      ];
      for (const [call, expected, type] of cases) {
        const error = await failureOf(call());
        assert.ok(error instanceof expected, String(error));
        assert.equal(error.error.type, "error");
        assert.equal(error.error.error.type, type);
        assert.ok(error.error.error.message);
        assert.ok(error.requestID);
      }
    });
  });
}

test("the gateway's keys are taken from x-api-key, and as bearer", async () => {
  const upstream = await Simulated.start();
  const extra = '[[gateway.key]]\nkey = "env.GATE_KEY"\ntenant = "acme"\n';
  const node = await SkepNode.start(providerConfig("openai", upstream, { extra }), { env: { UP_KEY: "k", GATE_KEY: "sesame" } });
  const body = { model: "up/small", max_tokens: 50, messages: [{ role: "user", content: "Repeat: in" }] };
  const wrong = await failureOf(new Anthropic({ baseURL: node.url, apiKey: "nonsense", maxRetries: 0 }).messages.create(body));
  assert.ok(wrong instanceof Anthropic.AuthenticationError);
  assert.equal(wrong.error.error.type, "authentication_error");
  for (const credentials of [{ apiKey: "sesame" }, { apiKey: null, authToken: "sesame" }])
    assert.equal(textOf(await new Anthropic({ baseURL: node.url, maxRetries: 0, ...credentials }).messages.create(body)), "[simulated] in");
  assert.equal(await node.stop(), 0);
  assert.equal(await upstream.stop(), 0);
});
