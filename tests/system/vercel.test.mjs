// Vercel's AI SDK as an application uses it, through each of its providers that reach a node, above a
// provider of either kind.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { eventually } from "./support/node.mjs";
import { failureOf, kinds } from "./support/simulate.mjs";
import { startAbove, StrictUpstream } from "./support/strict_upstream.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const ways = {
  "openai, Responses": (baseURL) => createOpenAI({ baseURL, apiKey: "any" })("up/small"),
  "openai, chat": (baseURL) => createOpenAI({ baseURL, apiKey: "any" }).chat("up/small"),
  "openai-compatible": (baseURL) => createOpenAICompatible({ name: "skep", baseURL, apiKey: "any" })("up/small"),
  "openai-compatible with schemas": (baseURL) =>
    createOpenAICompatible({ name: "skep", baseURL, apiKey: "any", supportsStructuredOutputs: true, includeUsage: true })("up/small"),
  anthropic: (baseURL) => createAnthropic({ baseURL, apiKey: "any" })("up/small"),
  // The client takes a Claude of this name for one that knows structured outputs.
  "anthropic, claude": (baseURL) => createAnthropic({ baseURL, apiKey: "any" })("claude-sonnet-4-5"),
};

const city = z.object({ city: z.string(), days: z.number() });
const tools = {
  get_place: tool({ description: "Where I am", inputSchema: z.object({ hint: z.string() }), execute: async ({ hint }) => `near ${hint}` }),
  get_weather: tool({ description: "The weather", inputSchema: city, execute: async ({ city, days }) => `${days} days of sun in ${city}` }),
};
// Where the client sends no schema beside, the question has it.
const inWords = `an object as JSON: ${JSON.stringify(z.toJSONSchema(city))}`;
const paris = { city: "Paris", days: 7 };
const toolsSaid = "The tools said: near Paris, 7 days of sun in Paris";

for (const kind of kinds) {
  for (const [name, make] of Object.entries(ways)) {
    describe(`AI SDK, ${name}, ${kind} provider`, { concurrency: 1, timeout: 60000 }, () => {
      let upstream;
      let node;
      let model;

      before(async () => {
        upstream = await new StrictUpstream().start();
        node = await startAbove(upstream, kind);
        model = make(`${node.url}/v1`);
      });

      after(async () => {
        assert.equal(await node.stop(), 0);
        await upstream.stop();
      });

      const ask = (prompt, extra = {}) => ({ model, prompt, maxRetries: 0, ...extra });

      test("a text comes back whole, with usage", async () => {
        const answer = await generateText(ask("hello there", { system: "Be brief." }));
        assert.equal(answer.text, "You said: hello there");
        assert.equal(answer.finishReason, "stop");
        assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [11, 5]);
      });

      test("a text comes as a stream", async () => {
        const stream = streamText(ask("one two three"));
        const pieces = [];
        for await (const piece of stream.textStream) pieces.push(piece);
        assert.equal(pieces.join(""), "You said: one two three");
        assert.ok(pieces.length > 1);
        assert.equal(await stream.finishReason, "stop");
      });

      test("a second turn follows on the first", async () => {
        const first = await generateText(ask("first"));
        const messages = [{ role: "user", content: "first" }, ...first.response.messages, { role: "user", content: "second" }];
        const second = await generateText({ model, messages, maxRetries: 0 });
        assert.equal(second.text, "You said: second");
        const roles = upstream.requests.at(-1).body.messages.map((message) => message.role);
        assert.deepEqual(roles.slice(-3), ["user", "assistant", "user"]);
      });

      test("tools are called in steps until the answer is there", async () => {
        const asked = ask("use get_place and get_weather", { tools, stopWhen: stepCountIs(5) });
        const answer = await generateText(asked);
        assert.equal(answer.text, toolsSaid);
        assert.equal(answer.steps.length, 3);
      });

      test("tools are called in steps of a stream", async () => {
        const stream = streamText(ask("use get_place and get_weather", { tools, stopWhen: stepCountIs(5) }));
        assert.equal(await stream.text, toolsSaid);
        const steps = await stream.steps;
        assert.deepEqual(steps.flatMap((step) => step.toolCalls.map((call) => call.toolName)), ["get_place", "get_weather"]);
      });

      test("an object of a schema comes back, whole and streamed", async () => {
        const { object } = await generateObject(ask(inWords, { schema: city }));
        assert.deepEqual(object, paris);
        const output = Output.object({ schema: city });
        assert.deepEqual((await generateText(ask(inWords, { output }))).output, paris);
        const stream = streamText(ask(inWords, { output }));
        let last;
        for await (const partial of stream.partialOutputStream) last = partial;
        assert.deepEqual(last, paris);
      });

      test("a refused call is the client's own error, with the provider's words", async () => {
        for (const [status, retryable] of [[400, false], [429, true]]) {
          const error = await failureOf(generateText(ask(`status-${status}`)));
          assert.ok(APICallError.isInstance(error), String(error));
          assert.deepEqual([error.statusCode, error.isRetryable], [status, retryable]);
          assert.match(error.message, /refused as asked/);
        }
      });

      test("a stream that breaks tells why", async () => {
        const errors = [];
        const stream = streamText(ask("break", { onError: ({ error }) => errors.push(error) }));
        await stream.consumeStream();
        assert.match(JSON.stringify(errors) + errors.map(String), /the engine broke/);
        assert.equal(await stream.finishReason, "error");
      });

      test("an aborted stream frees the provider's call", async () => {
        const { aborted } = upstream;
        const control = new AbortController();
        const stream = streamText(ask("hold", { abortSignal: control.signal }));
        for await (const piece of stream.textStream) if (piece) control.abort();
        await eventually("the provider's caller went away", () => upstream.aborted === aborted + 1);
      });
    });
  }
}
