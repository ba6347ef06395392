// OpenAI's Agents SDK as an application uses it, over the Responses API and over chat completions,
// above a provider of either kind.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Agent, MemorySession, OpenAIProvider, Runner, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

import { eventually } from "./support/node.mjs";
import { failureOf, kinds } from "./support/simulate.mjs";
import { startAbove, StrictUpstream } from "./support/strict_upstream.mjs";

setTracingDisabled(true);

const city = z.object({ city: z.string(), days: z.number() });
const tools = [
  tool({ name: "get_place", description: "Where I am", parameters: z.object({ hint: z.string() }), execute: async ({ hint }) => `near ${hint}` }),
  tool({ name: "get_weather", description: "The weather", parameters: city, execute: async ({ city, days }) => `${days} days of sun in ${city}` }),
];
const toolsSaid = "The tools said: near Paris, 7 days of sun in Paris";

for (const kind of kinds) {
  for (const useResponses of [true, false]) {
    describe(`Agents SDK, ${useResponses ? "Responses" : "chat"}, ${kind} provider`, { concurrency: 1, timeout: 60000 }, () => {
      let upstream;
      let node;
      let runner;

      before(async () => {
        upstream = await new StrictUpstream().start();
        node = await startAbove(upstream, kind);
        const openAIClient = new OpenAI({ apiKey: "any", baseURL: `${node.url}/v1`, maxRetries: 0 });
        runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient, useResponses }) });
      });

      after(async () => {
        assert.equal(await node.stop(), 0);
        await upstream.stop();
      });

      const agentOf = (more = {}) => new Agent({ name: "helper", instructions: "Be brief.", model: "up/small", ...more });

      test("a question is answered whole, with usage", async () => {
        const result = await runner.run(agentOf(), "hello there");
        assert.equal(result.finalOutput, "You said: hello there");
        const { usage } = result.rawResponses[0];
        assert.deepEqual([usage.inputTokens, usage.outputTokens], [11, 5]);
      });

      test("a question is answered as a stream", async () => {
        const result = await runner.run(agentOf(), "one two three", { stream: true });
        const pieces = [];
        for await (const piece of result.toTextStream()) pieces.push(piece);
        await result.completed;
        assert.equal(pieces.join(""), "You said: one two three");
        assert.ok(pieces.length > 1);
      });

      test("tools are called until the answer is there, whole and streamed", async () => {
        const whole = await runner.run(agentOf({ tools }), "use get_place and get_weather");
        assert.equal(whole.finalOutput, toolsSaid);
        const streamed = await runner.run(agentOf({ tools }), "use get_place and get_weather", { stream: true });
        const names = [];
        for await (const event of streamed) if (event.name === "tool_called") names.push(event.item.rawItem.name);
        await streamed.completed;
        assert.deepEqual(names, ["get_place", "get_weather"]);
        assert.equal(streamed.finalOutput, toolsSaid);
      });

      test("another agent takes over, and another one serves as a tool", async () => {
        const expert = agentOf({ name: "expert", instructions: "Know." });
        const handed = await runner.run(agentOf({ handoffs: [expert] }), "transfer_to_expert");
        assert.equal(handed.lastAgent.name, "expert");
        const asTool = expert.asTool({ toolName: "ask_expert", toolDescription: "Ask" });
        const asked = await runner.run(agentOf({ tools: [asTool] }), "please ask_expert");
        assert.equal(asked.finalOutput, "The tools said: You said: Paris");
      });

      test("an object of a schema comes back", async () => {
        const result = await runner.run(agentOf({ outputType: city }), "an object");
        assert.deepEqual(result.finalOutput, { city: "Paris", days: 7 });
      });

      test("turns follow each other, by history, by session and by the last response", async () => {
        const first = await runner.run(agentOf(), "first");
        const second = await runner.run(agentOf(), [...first.history, { role: "user", content: "second" }]);
        assert.equal(second.finalOutput, "You said: second");
        const session = new MemorySession();
        await runner.run(agentOf(), "first", { session });
        await runner.run(agentOf(), "second", { session });
        const turns = () => upstream.requests.at(-1).body.messages.filter((message) => message.role !== "system").map((message) => message.role);
        assert.deepEqual(turns(), ["user", "assistant", "user"]);
        if (!useResponses) return;
        await runner.run(agentOf(), "third", { previousResponseId: second.lastResponseId });
        assert.deepEqual(turns(), ["user", "assistant", "user", "assistant", "user"]);
      });

      test("a refused call is the client's own error, with the provider's words", async () => {
        for (const [status, name] of [[400, "BadRequestError"], [429, "RateLimitError"]]) {
          const error = await failureOf(runner.run(agentOf(), `status-${status}`));
          assert.equal(error.status, status);
          assert.equal(error.constructor.name, name);
          assert.match(error.message, /refused as asked/);
        }
      });

      test("a stream that breaks tells why", async () => {
        const read = async () => {
          const result = await runner.run(agentOf(), "break", { stream: true });
          for await (const event of result) assert.ok(event);
          await result.completed;
        };
        assert.match(String(await failureOf(read())), /the engine broke/);
      });

      test("an aborted stream frees the provider's call", async () => {
        const { aborted } = upstream;
        const control = new AbortController();
        const result = await runner.run(agentOf(), "hold", { stream: true, signal: control.signal });
        await result.toTextStream().getReader().read();
        control.abort();
        await eventually("the provider's caller went away", () => upstream.aborted === aborted + 1);
      });
    });
  }
}
