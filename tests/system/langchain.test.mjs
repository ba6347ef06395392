// LangChain's and LangGraph's models of OpenAI as an application uses them, over chat completions and
// over the Responses API, above a provider of either kind.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { AIMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { MemorySaver } from "@langchain/langgraph";
import { createReactAgent } from "@langchain/langgraph/prebuilt";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";

import { eventually } from "./support/node.mjs";
import { failureOf, kinds } from "./support/simulate.mjs";
import { startAbove, StrictUpstream } from "./support/strict_upstream.mjs";

globalThis.crypto ??= webcrypto; // Node 18 has it as a module only.

const city = z.object({ city: z.string(), days: z.number() });
const inWords = `an object as JSON: ${JSON.stringify(z.toJSONSchema(city))}`;
const paris = { city: "Paris", days: 7 };
const tools = [
  tool(async ({ hint }) => `near ${hint}`, { name: "get_place", description: "Where I am", schema: z.object({ hint: z.string() }) }),
  tool(async ({ city, days }) => `${days} days of sun in ${city}`, { name: "get_weather", description: "The weather", schema: city }),
];
const toolsSaid = "The tools said: near Paris, 7 days of sun in Paris";

for (const kind of kinds) {
  for (const useResponsesApi of [false, true]) {
    describe(`LangChain, ${useResponsesApi ? "Responses" : "chat"}, ${kind} provider`, { concurrency: 1, timeout: 60000 }, () => {
      let upstream;
      let node;
      let model;

      before(async () => {
        upstream = await new StrictUpstream().start();
        node = await startAbove(upstream, kind);
        model = new ChatOpenAI({
          model: "up/small", apiKey: "any", maxRetries: 0, useResponsesApi, configuration: { baseURL: `${node.url}/v1` },
        });
      });

      after(async () => {
        assert.equal(await node.stop(), 0);
        await upstream.stop();
      });

      test("a message is answered whole, with usage", async () => {
        const answer = await model.invoke([new SystemMessage("Be brief."), new HumanMessage("hello there")]);
        assert.equal(answer.text, "You said: hello there");
        assert.deepEqual([answer.usage_metadata.input_tokens, answer.usage_metadata.output_tokens], [11, 5]);
      });

      test("a message is answered as a stream, with usage", async () => {
        let whole;
        let pieces = 0;
        for await (const chunk of await model.stream("one two three")) {
          whole = whole ? whole.concat(chunk) : chunk;
          pieces += 1;
        }
        assert.equal(whole.text, "You said: one two three");
        assert.ok(pieces > 2);
        assert.equal(whole.usage_metadata.output_tokens, 5);
      });

      test("a second turn follows on the first", async () => {
        const first = await model.invoke("first");
        const second = await model.invoke([new HumanMessage("first"), first, new HumanMessage("second")]);
        assert.equal(second.text, "You said: second");
        const turns = upstream.requests.at(-1).body.messages.filter((message) => message.role !== "system");
        assert.deepEqual(turns.map((message) => message.role), ["user", "assistant", "user"]);
      });

      test("many are answered at once", async () => {
        const answers = await model.batch(Array.from({ length: 16 }, (_, n) => `number ${n}`));
        assert.deepEqual(answers.map((answer) => answer.text), Array.from({ length: 16 }, (_, n) => `You said: number ${n}`));
      });

      test("an agent calls its tools until the answer is there, whole and streamed", async () => {
        const agent = createReactAgent({ llm: model, tools });
        const asked = { messages: [{ role: "user", content: "use get_place and get_weather" }] };
        const { messages } = await agent.invoke(asked);
        assert.equal(messages.at(-1).text, toolsSaid);
        const updates = [];
        for await (const update of await agent.stream(asked, { streamMode: "updates" })) updates.push(...Object.keys(update));
        assert.deepEqual(updates, ["agent", "tools", "agent", "tools", "agent"]);
        let streamed = "";
        for await (const [message] of await agent.stream(asked, { streamMode: "messages" }))
          if (message instanceof AIMessage || message.getType() === "ai") streamed += message.text;
        assert.equal(streamed, toolsSaid);
      });

      test("an agent with a memory keeps every message, also of equal questions", async () => {
        const agent = createReactAgent({ llm: model, tools: [], checkpointer: new MemorySaver() });
        const thread = { configurable: { thread_id: "one" } };
        const ask = () => agent.invoke({ messages: [{ role: "user", content: "the same" }] }, thread);
        await ask();
        const { messages } = await ask();
        assert.deepEqual(messages.map((message) => message.getType()), ["human", "ai", "human", "ai"]);
      });

      test("an object of a schema comes back by each method", async () => {
        for (const method of ["jsonSchema", "functionCalling", "jsonMode"]) {
          const structured = model.withStructuredOutput(city, { method, name: "forecast" });
          assert.deepEqual(await structured.invoke(method === "jsonMode" ? inWords : "an object"), paris, method);
        }
        let last;
        for await (const partial of await model.withStructuredOutput(city, { method: "jsonSchema", name: "forecast" }).stream("an object"))
          last = partial;
        assert.deepEqual(last, paris);
      });

      test("a refused call is the client's own error, with the provider's words", async () => {
        for (const [status, name] of [[400, "BadRequestError"], [429, "RateLimitError"]]) {
          const error = await failureOf(model.invoke(`status-${status}`));
          assert.equal(error.status, status);
          assert.equal(error.constructor.name, name);
          assert.match(error.message, /refused as asked/);
        }
      });

      test("a stream that breaks tells why", async () => {
        const read = async () => {
          for await (const chunk of await model.stream("break")) assert.ok(chunk);
        };
        assert.match(String(await failureOf(read())), /the engine broke/);
      });

      test("an aborted stream frees the provider's call", async () => {
        const { aborted } = upstream;
        const control = new AbortController();
        const read = async () => {
          for await (const chunk of await model.stream("hold", { signal: control.signal })) if (chunk) control.abort();
        };
        await failureOf(read());
        await eventually("the provider's caller went away", () => upstream.aborted === aborted + 1);
      });
    });
  }
}
