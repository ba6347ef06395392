// The official OpenAI client against a node whose provider speaks OpenAI's API, and against one whose
// provider speaks Anthropic's: for the client there is no difference.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import OpenAI from "openai";

import { SkepNode } from "./support/node.mjs";
import { failureOf, kinds, providerConfig, Simulated } from "./support/simulate.mjs";

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city", "days"] },
  },
};
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Puts a streamed chat together as the client's users do.
async function gather(stream) {
  const all = { text: "", calls: [], finishes: [], usage: null, pieces: 0, ids: new Set() };
  for await (const chunk of stream) {
    all.ids.add(chunk.id);
    all.usage = chunk.usage ?? all.usage;
    const choice = chunk.choices[0];
    if (!choice) continue;
    all.pieces += 1;
    all.text += choice.delta.content ?? "";
    for (const part of choice.delta.tool_calls ?? []) {
      const call = (all.calls[part.index] ??= { id: "", name: "", arguments: "" });
      call.id += part.id ?? "";
      call.name += part.function?.name ?? "";
      call.arguments += part.function?.arguments ?? "";
    }
    if (choice.finish_reason) all.finishes.push(choice.finish_reason);
  }
  return all;
}

for (const kind of kinds) {
  describe(`OpenAI's client, ${kind} provider`, { concurrency: 1 }, () => {
    let upstream;
    let node;
    let client;

    before(async () => {
      upstream = await Simulated.start({ sets: ["upstream.key_required=true", "upstream.models_only=true", "upstream.first_token_ms=2", "upstream.tokens_per_s=100"] });
      node = await SkepNode.start(providerConfig(kind, upstream), { env: { UP_KEY: "k" } });
      // What is asked twice is to reach the provider twice.
      const defaultHeaders = { "cache-control": "no-store" };
      client = new OpenAI({ baseURL: `${node.url}/v1`, apiKey: "any", maxRetries: 0, defaultHeaders });
    });

    after(async () => {
      assert.equal(await node.stop(), 0);
      assert.equal(await upstream.stop(), 0);
    });

    const ask = (text, extra = {}) =>
      client.chat.completions.create({ model: "up/small", messages: [{ role: "user", content: text }], ...extra });

    test("a chat comes back whole, with usage and request id", async () => {
      const { data, response } = await ask("Repeat: hello there").withResponse();
      assert.equal(data.object, "chat.completion");
      assert.equal(data.choices[0].message.role, "assistant");
      assert.equal(data.choices[0].message.content, "[simulated] hello there");
      assert.equal(data.choices[0].finish_reason, "stop");
      assert.ok(data.usage.prompt_tokens > 0);
      assert.equal(data.usage.completion_tokens, 3);
      assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + 3);
      assert.match(response.headers.get("x-request-id"), /^[0-9a-f-]{36}$/);
      assert.equal(response.headers.get("x-skep-provider"), "up");
    });

    test("the call reaches the provider in its own dialect", async () => {
      await client.chat.completions.create({
        model: "helper", temperature: 0.25, max_completion_tokens: 77, stop: ["END"],
        messages: [{ role: "user", content: "Repeat: x" }, { role: "assistant", content: "x" }, { role: "user", content: "Repeat: y" }],
      });
      const call = (await upstream.calls()).at(-1);
      assert.ok(call.traceparent);
      assert.equal(call.key, true);
      assert.equal(call.path, kind === "openai" ? "/v1/chat/completions" : "/v1/messages");
      assert.equal(call.body.temperature, 0.25);
      assert.equal(call.body.model, "small");
      const conversation = call.body.messages.filter((message) => message.role !== "system");
      assert.deepEqual(conversation.map((message) => message.role), ["user", "assistant", "user"]);
      if (kind === "openai") {
        assert.deepEqual(call.body.messages[0], { role: "system", content: "Be brief." });
        assert.equal(call.body.max_completion_tokens, 77);
      } else {
        assert.match(call.anthropic_version, /^\d{4}-\d\d-\d\d$/);
        assert.match(JSON.stringify(call.body.system), /Be brief\./);
        assert.equal(call.body.max_tokens, 77);
        assert.deepEqual(call.body.stop_sequences, ["END"]);
      }
    });

    test("a stream says the same piece by piece, with usage when it is asked for", async () => {
      for (const include_usage of [true, false]) {
        const answer = await gather(await ask("Repeat: one two three", {
          stream: true, ...(include_usage ? { stream_options: { include_usage } } : {}),
        }));
        assert.equal(answer.text, "[simulated] one two three");
        assert.deepEqual(answer.finishes, ["stop"]);
        assert.ok(answer.pieces > 2);
        assert.equal(answer.ids.size, 1);
        if (include_usage) {
          assert.equal(answer.usage.completion_tokens, 4);
          assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 4);
        } else {
          assert.equal(answer.usage, null);
        }
      }
    });

    test("the client's own stream helper agrees", async () => {
      const runner = client.chat.completions.stream({ model: "up/small", messages: [{ role: "user", content: "Repeat: a helper" }] });
      const last = await runner.finalChatCompletion();
      assert.equal(last.choices[0].message.content, "[simulated] a helper");
    });

    test("a tool is called, whole and streamed, and its result answered", async () => {
      const question = { role: "user", content: "please get_weather" };
      const whole = await ask(question.content, { tools: [weather] });
      assert.equal(whole.choices[0].finish_reason, "tool_calls");
      const [call] = whole.choices[0].message.tool_calls;
      assert.equal(call.type, "function");
      assert.equal(call.function.name, "get_weather");
      assert.deepEqual(JSON.parse(call.function.arguments), { city: "simulated", days: 1 });

      const streamed = await gather(await ask(question.content, { tools: [weather], stream: true }));
      assert.deepEqual(streamed.finishes, ["tool_calls"]);
      assert.equal(streamed.calls.length, 1);
      assert.ok(streamed.calls[0].id);
      assert.equal(streamed.calls[0].name, "get_weather");
      assert.deepEqual(JSON.parse(streamed.calls[0].arguments), { city: "simulated", days: 1 });

      const after = await client.chat.completions.create({
        model: "up/small", tools: [weather],
        messages: [question, whole.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny, 22 degrees" }],
      });
      assert.equal(after.choices[0].message.content, "[simulated] The tool said: sunny, 22 degrees");
    });

    test("a tool can be forced, and forbidden", async () => {
      const forced = await ask("hello", { tools: [weather], tool_choice: { type: "function", function: { name: "get_weather" } } });
      assert.equal(forced.choices[0].message.tool_calls[0].function.name, "get_weather");
      const required = await ask("hello", { tools: [weather], tool_choice: "required" });
      assert.equal(required.choices[0].finish_reason, "tool_calls");
      const none = await ask("please get_weather", { tools: [weather], tool_choice: "none" });
      assert.equal(none.choices[0].finish_reason, "stop");
    });

    test("limits and stop words end an answer", async () => {
      const cut = await ask("Repeat: one two three four", { max_tokens: 2 });
      assert.equal(cut.choices[0].finish_reason, "length");
      assert.equal(cut.choices[0].message.content, "[simulated] one");
      const stopped = await ask("Repeat: one two three four", { stop: " three" });
      assert.equal(stopped.choices[0].finish_reason, "stop");
      assert.equal(stopped.choices[0].message.content, "[simulated] one two");
    });

    test("an image reaches the provider as it wants it", async () => {
      await client.chat.completions.create({
        model: "up/small",
        messages: [{ role: "user", content: [
          { type: "text", text: "Repeat: seen" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}` } },
        ] }],
      });
      const [text, image] = (await upstream.lastBody()).messages.at(-1).content;
      assert.equal(text.text, "Repeat: seen");
      if (kind === "openai") assert.equal(image.image_url.url, `data:image/png;base64,${pixel}`);
      else assert.deepEqual(image, { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } });
    });

    test("completions of text come back, whole and streamed", async () => {
      const whole = await client.completions.create({ model: "up/small", prompt: "Repeat: the old way", max_tokens: 50 });
      assert.equal(whole.object, "text_completion");
      assert.equal(whole.choices[0].text, "[simulated] the old way");
      assert.equal(whole.choices[0].finish_reason, "stop");
      assert.equal(whole.usage.completion_tokens, 4);
      let text = "";
      let finish = null;
      for await (const chunk of await client.completions.create({ model: "up/small", prompt: "Repeat: the old way", stream: true })) {
        text += chunk.choices[0]?.text ?? "";
        finish = chunk.choices[0]?.finish_reason ?? finish;
      }
      assert.equal(text, "[simulated] the old way");
      assert.equal(finish, "stop");
    });

    test("a response is made, found again, gone on with and deleted", async () => {
      const made = await client.responses.create({ model: "up/small", input: "Repeat: remember me", instructions: "Be kind." });
      assert.equal(made.object, "response");
      assert.equal(made.status, "completed");
      assert.equal(made.output_text, "[simulated] remember me");
      assert.ok(made.usage.total_tokens > 0);
      const found = await client.responses.retrieve(made.id);
      assert.equal(found.id, made.id);
      assert.deepEqual(found.output, made.output);
      const next = await client.responses.create({ model: "up/small", input: "Repeat: and me", previous_response_id: made.id });
      assert.equal(next.output_text, "[simulated] and me");
      assert.equal(next.previous_response_id, made.id);
      assert.match(JSON.stringify((await upstream.lastBody()).messages), /Repeat: remember me.*\[simulated\] remember me.*Repeat: and me/);
      await client.responses.delete(made.id);
      assert.equal((await failureOf(client.responses.retrieve(made.id))).status, 404);
      await client.responses.delete(next.id);
    });

    test("a response streams its events in their order", async () => {
      const types = [];
      let text = "";
      let last;
      let number = -1;
      for await (const event of await client.responses.create({ model: "up/small", input: "Repeat: piece by piece", stream: true, store: false })) {
        assert.equal(event.sequence_number, (number += 1));
        if (types.at(-1) !== event.type) types.push(event.type);
        if (event.type === "response.output_text.delta") text += event.delta;
        last = event;
      }
      assert.deepEqual(types, [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
      ]);
      assert.equal(text, "[simulated] piece by piece");
      assert.equal(last.response.status, "completed");
      assert.equal(last.response.output[0].content[0].text, text);
      assert.equal((await failureOf(client.responses.retrieve(last.response.id))).status, 404);
    });

    test("a response calls a tool and takes its result", async () => {
      const tool = { type: "function", name: "get_weather", parameters: weather.function.parameters, strict: false };
      const made = await client.responses.create({ model: "up/small", input: "please get_weather", tools: [tool] });
      const call = made.output.find((item) => item.type === "function_call");
      assert.equal(call.name, "get_weather");
      assert.deepEqual(JSON.parse(call.arguments), { city: "simulated", days: 1 });
      const next = await client.responses.create({
        model: "up/small", previous_response_id: made.id, tools: [tool],
        input: [{ type: "function_call_output", call_id: call.call_id, output: "sunny" }],
      });
      assert.equal(next.output_text, "[simulated] The tool said: sunny");
    });

    test("vectors come from a provider that has them", async () => {
      const wanted = client.embeddings.create({ model: "up/small", input: ["a bee", "a hive"] });
      if (kind === "openai") {
        const made = await wanted;
        assert.deepEqual(made.data.map((each) => each.index), [0, 1]);
        assert.equal(made.data[0].embedding.length, 256);
        const plain = await client.embeddings.create({ model: "up/small", input: "a bee", encoding_format: "float" });
        made.data[0].embedding.forEach((value, n) => assert.ok(Math.abs(value - plain.data[0].embedding[n]) < 1e-6));
      } else {
        const error = await failureOf(wanted);
        assert.ok(error instanceof OpenAI.APIError);
        assert.ok(error.status >= 400 && error.status < 500, String(error.status));
      }
    });

    test("models are listed and found", async () => {
      const names = (await client.models.list()).data.map((model) => model.id);
      for (const name of ["helper", "small", "large"]) assert.ok(names.includes(name), names.join(" "));
      assert.equal((await client.models.retrieve("small")).id, "small");
    });

    test("sixty-four at a time are answered, each with its own answer", async () => {
      const all = await Promise.all(Array.from({ length: 64 }, (_, n) =>
        n % 2 ? ask(`Repeat: number ${n}`).then((answer) => answer.choices[0].message.content)
              : ask(`Repeat: number ${n}`, { stream: true }).then(gather).then((answer) => answer.text)));
      all.forEach((text, n) => assert.equal(text, `[simulated] number ${n}`));
    });

    test("what is wrong with a call is said in OpenAI's words", async () => {
      const unknown = await failureOf(client.chat.completions.create({ model: "up/nobody", messages: [{ role: "user", content: "x" }] }));
      assert.ok(unknown instanceof OpenAI.NotFoundError);
      assert.equal(unknown.code, "model_not_found");
      const empty = await failureOf(client.chat.completions.create({ model: "up/small", messages: [] }));
      assert.ok(empty instanceof OpenAI.BadRequestError);
      const orphan = await failureOf(client.chat.completions.create({
        model: "up/small", messages: [{ role: "user", content: "x" }, { role: "tool", tool_call_id: "nobody", content: "y" }],
      }));
      assert.ok(orphan instanceof OpenAI.BadRequestError);
      for (const error of [unknown, empty, orphan])
        assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
    });
  });
}
