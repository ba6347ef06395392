// Every flavour of `skep simulate` behind a node: what the official clients show must be the same.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { SkepNode } from "./support/node.mjs";
import { Simulated, failureOf, providerConfig } from "./support/simulate.mjs";

const flavours = ["openai", "azure", "vllm", "ollama", "mistral", "gemini", "deepseek", "openrouter", "anthropic", "strict"];
const question = [{ role: "user", content: "Repeat: one two" }];
const errand = [{ role: "user", content: "weather" }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tool = { type: "function", function: { name: "weather", parameters: schema } };

/// Runs `body` with the official clients of a node over a provider of this flavour.
async function withFlavour(flavour, body, provider = "") {
  const upstream = await Simulated.start({ flavour });
  const kind = flavour === "anthropic" ? "anthropic" : "openai";
  const node = await SkepNode.start(providerConfig(kind, upstream, { provider }), { env: { UP_KEY: "k" } });
  const options = { apiKey: "any", maxRetries: 0 };
  try {
    await body({
      upstream,
      openai: new OpenAI({ baseURL: `${node.url}/v1`, ...options }),
      anthropic: new Anthropic({ baseURL: node.url, ...options }),
    });
  } finally {
    await node.stop();
    await upstream.stop();
  }
}

/// The text of a chat, the arguments of its first call.
async function chatOf(openai, body) {
  if (!body.stream) {
    const { message } = (await openai.chat.completions.create(body)).choices[0];
    return message.tool_calls?.[0]?.function.arguments ?? message.content;
  }
  let said = "";
  for await (const { choices } of await openai.chat.completions.create(body))
    said += (choices[0]?.delta.content || choices[0]?.delta.tool_calls?.[0].function.arguments) ?? "";
  return said;
}

describe("flavours of providers", { concurrency: 2 }, () => {
  for (const flavour of flavours)
    test(`${flavour} says the same at every door`, () => withFlavour(flavour, async ({ openai, anthropic }) => {
      const model = "up/small";
      for (const stream of [false, true]) {
        assert.match(await chatOf(openai, { model, stream, messages: question }), /one two$/);
        const called = await chatOf(openai, { model, stream, messages: errand, tools: [tool] });
        assert.deepEqual(Object.keys(JSON.parse(called.slice(called.indexOf("{")))), ["city"]);
      }
      const asked = { model, max_tokens: 100, messages: question };
      const message = await anthropic.messages.stream(asked).finalMessage();
      assert.match(message.content.at(-1).text, /one two$/);
      assert.equal(message.stop_reason, "end_turn");
      assert.ok(message.usage.output_tokens > 0);
      const use = await anthropic.messages.create({ ...asked, messages: errand, tools: [{ name: "weather", input_schema: schema }] });
      assert.deepEqual(Object.keys(use.content.find((block) => block.type === "tool_use").input), ["city"]);
      const response = await openai.responses.create({ model, input: "Repeat: one two" });
      assert.match(response.output_text, /one two$/);
    }));

  test("mistral's thoughts are thoughts at the other doors", () => withFlavour("mistral", async ({ openai }) => {
    const { output } = await openai.responses.create({ model: "up/small", input: "Repeat: one two", reasoning: { effort: "low" } });
    assert.deepEqual(output.map((item) => item.type), ["reasoning", "message"]);
  }));

  test("a strict provider is sent nothing that it refuses", () => withFlavour("strict", async ({ anthropic }) => {
    const answer = await anthropic.messages.create({
      model: "up/small", max_tokens: 2000, top_k: 3, thinking: { type: "enabled", budget_tokens: 1024 },
      system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }], messages: question,
    });
    assert.match(answer.content.at(-1).text, /one two$/);
  }, 'extensions = "drop"'));

  test("what a strict provider refuses is told in its words", () => withFlavour("strict", async ({ openai }) => {
    const error = await failureOf(openai.chat.completions.create({ model: "up/small", messages: question, top_k: 3 }));
    assert.equal(error.status, 400);
    assert.equal(error.code, "unknown_parameter");
    assert.equal(error.param, "top_k");
  }));

  for (const flavour of ["azure", "vllm", "gemini", "openrouter"])
    test(`${flavour}'s error is told in its words`, () => withFlavour(flavour, async ({ openai }) => {
      const wrong = [{ role: "tool", tool_call_id: "none", content: "x" }];
      const error = await failureOf(openai.chat.completions.create({ model: "up/small", messages: wrong }));
      assert.equal(error.status, 400);
      assert.match(error.message, /role 'tool' must be a response/);
    }));
});
