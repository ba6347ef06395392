// What the official clients do beyond single calls (loops of tools, objects of a schema, errors of their
// own, aborts), with OpenAI's client of two generations and Anthropic's, above a provider of either kind.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import * as openai7 from "openai";
import * as helpers7 from "openai/helpers/zod";
import * as openai6 from "openai-6";
import * as helpers6 from "openai-6/helpers/zod";
import { z } from "zod";

import { eventually } from "./support/node.mjs";
import { failureOf, kinds } from "./support/simulate.mjs";
import { startAbove, StrictUpstream } from "./support/strict_upstream.mjs";

const city = z.object({ city: z.string(), days: z.number() });
const paris = { city: "Paris", days: 7 };
const runs = { get_place: ({ hint }) => `near ${hint}`, get_weather: ({ city, days }) => `${days} days of sun in ${city}` };
const schemas = {
  get_place: { type: "object", properties: { hint: { type: "string" } }, required: ["hint"] },
  get_weather: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city", "days"] },
};
const question = "use get_place and get_weather";
const toolsSaid = "The tools said: near Paris, 7 days of sun in Paris";
const user = (content) => [{ role: "user", content }];

/// Runs `body` with what one suite needs: an upstream and a node above it.
function suite(name, kind, body) {
  describe(`${name}, ${kind} provider`, { concurrency: 1, timeout: 60000 }, () => {
    const all = {};
    before(async () => {
      all.upstream = await new StrictUpstream().start();
      all.node = await startAbove(all.upstream, kind);
    });
    after(async () => {
      assert.equal(await all.node.stop(), 0);
      await all.upstream.stop();
    });
    body(all);
  });
}

/// Aborts a stream at its first piece and waits until the provider's caller is gone.
async function abortAtFirst(upstream, stream) {
  const { aborted } = upstream;
  for await (const piece of stream) if (piece) break;
  await eventually("the provider's caller went away", () => upstream.aborted === aborted + 1);
}

async function assertRefused(call, { BadRequestError, RateLimitError }) {
  for (const [status, expected] of [[400, BadRequestError], [429, RateLimitError]]) {
    const error = await failureOf(call(`status-${status}`));
    assert.ok(error instanceof expected, String(error));
    assert.match(error.message, /refused as asked/);
    assert.ok(error.requestID);
  }
}

async function assertBreaks(stream) {
  const read = async () => {
    for await (const piece of await stream) assert.ok(piece);
  };
  assert.match(String(await failureOf(read())), /the engine broke/);
}

for (const kind of kinds)
  for (const [version, { default: OpenAI }, { zodResponseFormat, zodTextFormat }] of [[6, openai6, helpers6], [7, openai7, helpers7]])
    suite(`OpenAI's client ${version}`, kind, (all) => {
      const model = "up/small";
      let client;
      before(() => (client = new OpenAI({ baseURL: `${all.node.url}/v1`, apiKey: "any", maxRetries: 0 })));

      test("a loop of tools runs to its answer, whole and streamed", async () => {
        const tools = Object.entries(runs).map(([name, run]) => ({
          type: "function", function: { name, function: run, parse: JSON.parse, description: name, parameters: schemas[name] },
        }));
        for (const stream of [false, true]) {
          const runner = client.chat.completions.runTools({ model, messages: user(question), tools, stream });
          assert.equal(await runner.finalContent(), toolsSaid);
        }
      });

      test("an object of a schema is parsed, of chats and of responses, whole and streamed", async () => {
        const chat = { model, messages: user("an object"), response_format: zodResponseFormat(city, "forecast") };
        assert.deepEqual((await client.chat.completions.parse(chat)).choices[0].message.parsed, paris);
        assert.deepEqual((await client.chat.completions.stream(chat).finalChatCompletion()).choices[0].message.parsed, paris);
        const response = { model, input: "an object", text: { format: zodTextFormat(city, "forecast") } };
        assert.deepEqual((await client.responses.parse(response)).output_parsed, paris);
        assert.deepEqual((await client.responses.stream(response).finalResponse()).output_parsed, paris);
      });

      test("responses call tools and go on from the last one", async () => {
        const tools = Object.entries(schemas).map(([name, parameters]) => ({ type: "function", name, parameters, strict: false }));
        let response = await client.responses.create({ model, input: question, tools });
        for (let step = 0; step < 2; ++step) {
          const output = response.output.filter((item) => item.type === "function_call").map((call) => ({
            type: "function_call_output", call_id: call.call_id, output: runs[call.name](JSON.parse(call.arguments)),
          }));
          response = await client.responses.create({ model, previous_response_id: response.id, input: output, tools });
        }
        assert.equal(response.output_text, toolsSaid);
      });

      test("a tool's image and a file by its address are served over responses", async () => {
        const image = { type: "input_image", image_url: "data:image/png;base64,AA==", detail: "auto" };
        const file = { type: "input_file", file_url: "https://example.test/a.pdf" };
        await client.responses.create({ model, input: [
          ...user([{ type: "input_text", text: "look" }, file]),
          { type: "function_call", call_id: "a", name: "shot", arguments: "{}" },
          { type: "function_call_output", call_id: "a", output: [image] },
        ] });
        const parts = all.upstream.requests.at(-1).body.messages.flatMap((message) => (Array.isArray(message.content) ? message.content : []));
        assert.deepEqual(parts.find((part) => part.type === "file" || part.type === "document"), kind === "openai"
          ? { type: "file", file: { file_data: file.file_url } } : { type: "document", source: { type: "url", url: file.file_url } });
      });

      test("a refused call is the client's own error, with the provider's words", async () => {
        await assertRefused((text) => client.chat.completions.create({ model, messages: user(text) }), OpenAI);
        await assertRefused((input) => client.responses.create({ model, input, stream: true }), OpenAI);
      });

      test("a stream that breaks tells why", async () => {
        await assertBreaks(client.chat.completions.create({ model, messages: user("break"), stream: true }));
        await assert.rejects(client.responses.stream({ model, input: "break" }).finalResponse());
      });

      test("an aborted stream frees the provider's call", async () => {
        await abortAtFirst(all.upstream, await client.chat.completions.create({ model, messages: user("hold"), stream: true }));
        await abortAtFirst(all.upstream, await client.responses.create({ model, input: "hold", stream: true }));
      });
    });

for (const kind of kinds)
  suite("Anthropic's client", kind, (all) => {
    const asked = (text, more = {}) => ({ model: "up/small", max_tokens: 100, messages: user(text), ...more });
    let client;
    before(() => (client = new Anthropic({ baseURL: all.node.url, apiKey: "any", maxRetries: 0 })));

    test("a loop of tools runs to its answer, whole and streamed", async () => {
      const tools = Object.entries(runs).map(([name, run]) => ({ name, description: name, input_schema: schemas[name], run }));
      const message = await client.beta.messages.toolRunner(asked(question, { tools }));
      assert.equal(message.content.at(-1).text, toolsSaid);
      let last;
      for await (const stream of client.beta.messages.toolRunner(asked(question, { tools, stream: true }))) last = await stream.finalMessage();
      assert.equal(last.content.at(-1).text, toolsSaid);
    });

    test("an object of a schema is parsed, whole and streamed", async () => {
      const output_config = { format: zodOutputFormat(city) };
      assert.deepEqual((await client.messages.parse(asked("an object", { output_config }))).parsed_output, paris);
      assert.deepEqual((await client.messages.stream(asked("an object", { output_config })).finalMessage()).parsed_output, paris);
    });

    test("documents, search results and a tool's images reach the provider in its own parts", async () => {
      const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } };
      const pdf = { type: "document", source: { type: "base64", media_type: "application/pdf", data: "AA==" } };
      const found = { type: "search_result", source: "https://example.test", title: "Found", content: [{ type: "text", text: "it" }] };
      const messages = [
        ...user([{ type: "text", text: "look" }, pdf, found]),
        { role: "assistant", content: [{ type: "tool_use", id: "a", name: "get_place", input: {} }] },
        ...user([{ type: "tool_result", tool_use_id: "a", content: [{ type: "text", text: "here" }, image] }]),
      ];
      const answer = await client.messages.create({ ...asked(""), messages });
      assert.match(answer.content[0].text, kind === "openai" ? /What the tools returned/ : /The tools said: here/);
      const sent = all.upstream.requests.at(-1).body.messages;
      const types = sent.filter((message) => Array.isArray(message.content)).flatMap((message) => message.content.map((part) => part.type));
      assert.deepEqual(types, kind === "openai" ? ["text", "file", "text", "text", "text", "image_url"]
        : ["text", "document", "search_result", "tool_use", "tool_result"]);
    });

    test("a refused call is the client's own error, with the provider's words", async () => {
      await assertRefused((text) => client.messages.create(asked(text)), Anthropic);
      await assertRefused((text) => client.messages.create(asked(text, { stream: true })), Anthropic);
    });

    test("tokens are counted before, at the start and at the end", async () => {
      const { max_tokens, ...question } = asked("hello there");
      const { input_tokens } = await client.messages.countTokens(question);
      assert.equal(input_tokens, kind === "anthropic" ? 11 : 3);
      const usages = [];
      for await (const event of await client.messages.create({ ...question, max_tokens, stream: true }))
        if (event.usage ?? event.message?.usage) usages.push((event.usage ?? event.message.usage).input_tokens);
      // Anthropic counts at the start, and that comes as it is.
      assert.deepEqual(usages.filter(Boolean), kind === "anthropic" ? [11] : [3, 11]);
    });

    test("models are listed page by page", async () => {
      const ids = [];
      for await (const each of client.models.list({ limit: 1 })) ids.push(each.id);
      assert.deepEqual(ids, ["helper", "small", "large"]);
      const one = await client.models.retrieve("helper");
      assert.deepEqual([one.type, one.display_name], ["model", "helper"]);
    });

    test("a stream that breaks tells why", async () => {
      await assertBreaks(client.messages.create(asked("break", { stream: true })));
    });

    test("an aborted stream frees the provider's call", async () => {
      await abortAtFirst(all.upstream, await client.messages.create(asked("hold", { stream: true })));
    });
  });
