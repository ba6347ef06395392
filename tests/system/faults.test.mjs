// What the official clients see when their provider fails, in each of the ways there are: an answer
// from elsewhere or the right typed error, within their deadline, and never a hang.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { eventually, freePorts, SkepNode } from "./support/node.mjs";
import { failureOf, providerConfig, Simulated } from "./support/simulate.mjs";

/// No call may take longer than the node's own deadline, and a little for the way.
const deadlineMs = 4000;
const graceMs = 1500;

/// What a whole call and a stream may end with when nobody else can answer. "ok" is an answer;
/// "broken" an error in the middle of a stream; numbers are statuses.
const outcomes = {
  overloaded: { whole: [503], stream: [503] },
  error_500: { whole: [502], stream: [502] },
  error_502: { whole: [502], stream: [502] },
  error_503: { whole: [503], stream: [503] },
  slow_loris: { whole: [502, 504], stream: [502, 504, "broken"] },
  stall: { whole: [502, 504], stream: [502, 504] },
  stall_midway: { whole: [502, 504], stream: ["broken"] },
  cut: { whole: [502], stream: ["broken"] },
  cut_before: { whole: [502], stream: [502] },
  error_in_stream: { whole: [502], stream: ["broken"] },
  wrong_json: { whole: [502], stream: [502, "broken"] },
  huge_chunk: { whole: [502], stream: [502, "broken"] },
  wrong_type: { whole: [502], stream: [502] },
};
/// Modes in which a call may have been begun to be answered when it broke: there is no falling back
/// from a stream that has begun.
const begun = (mode) => outcomes[mode].stream.includes("broken");

const provider = `
models = ["small"]
connect_timeout_ms = 300
first_byte_timeout_ms = 300
idle_timeout_ms = 300
total_timeout_ms = 700
attempts_max = 2
retry_backoff_min_ms = 10
retry_backoff_max_ms = 50
# One test after the other spends retries: none of them is to find the budget empty.
retry_reserve_per_s = 100
answer_bytes = 4194304
`;
const chain = `
[provider.spare]
kind = "simulated"
[provider.spare.simulated]
first_token_ms = 1
tokens_per_s = 0
[agent.chained]
models = ["up/small", "spare/small"]
cache = "off"
`;

/// The two clients under one roof.
const clients = {
  openai: {
    make: (node) => new OpenAI({ baseURL: `${node.url}/v1`, apiKey: "any", maxRetries: 0 }),
    ask: async (client, model, text) => (await client.chat.completions.create({
      model, messages: [{ role: "user", content: text }],
    })).choices[0].message.content,
    stream: async (client, model, text, onPiece) => {
      let all = "";
      for await (const chunk of await client.chat.completions.create({ model, stream: true, messages: [{ role: "user", content: text }] })) {
        onPiece();
        all += chunk.choices[0]?.delta.content ?? "";
      }
      return all;
    },
    base: OpenAI.APIError,
    noAnswer: OpenAI.APIConnectionError,
    /// The client's status of one of ours.
    status: (status) => status,
    check: (error) => {
      assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
      assert.ok(error.error.message && error.error.type);
    },
  },
  anthropic: {
    make: (node) => new Anthropic({ baseURL: node.url, apiKey: "any", maxRetries: 0 }),
    ask: async (client, model, text) => (await client.messages.create({
      model, max_tokens: 100, messages: [{ role: "user", content: text }],
    })).content[0].text,
    stream: async (client, model, text, onPiece) => {
      let all = "";
      for await (const event of await client.messages.create({ model, max_tokens: 100, stream: true, messages: [{ role: "user", content: text }] })) {
        onPiece();
        if (event.type === "content_block_delta") all += event.delta.text ?? "";
      }
      return all;
    },
    base: Anthropic.APIError,
    noAnswer: Anthropic.APIConnectionError,
    status: (status) => (status === 503 ? 529 : status),
    check: (error) => {
      assert.equal(error.error.type, "error");
      assert.ok(error.error.error.message && error.error.error.type);
    },
  },
};

/// How a call ended: "ok", "broken" or a status; with the error, the pieces and the milliseconds.
async function endOf(call) {
  const began = Date.now();
  let pieces = 0;
  let error;
  const text = await call(() => (pieces += 1)).catch((why) => { error = why; });
  const ms = Date.now() - began;
  if (!error) return { end: "ok", text, ms };
  return { end: error.status ?? (pieces > 0 ? "broken" : "no status"), error, pieces, ms };
}

for (const dialect of ["openai", "anthropic"]) {
  const its = clients[dialect];

  describe(`a failing ${dialect} provider`, { concurrency: 1 }, () => {
    let upstream;
    let node;
    let client;

    before(async () => {
      upstream = await Simulated.start({ sets: ["upstream.first_token_ms=1", "upstream.tokens_per_s=0", "upstream.huge_bytes=8388608"] });
      node = await SkepNode.start(
        providerConfig(dialect, upstream, { gateway: `request_timeout_ms = ${deadlineMs}`, provider, extra: chain }),
        { env: { UP_KEY: "k" } });
      client = its.make(node);
    });

    after(async () => {
      assert.equal(await node.stop(), 0);
      assert.equal(await upstream.stop(), 0);
    });

    const fresh = (() => { let n = 0; return () => `Repeat: ${(n += 1)} two three four five six`; })();

    async function healthy() {
      await upstream.heal();
      await eventually("a healthy call is answered", async () =>
        (await endOf(() => its.ask(client, "up/small", fresh()))).end === "ok", 10000);
    }

    for (const [mode, { whole, stream }] of Object.entries(outcomes)) {
      test(`${mode}: a typed error in time, then all is well again`, async () => {
        for (const [streams, expected] of [[false, whole], [true, stream]]) {
          await upstream.fail({ mode });
          const call = (onPiece) => (streams ? its.stream : its.ask)(client, "up/small", fresh(), onPiece);
          const { end, error, ms } = await endOf(call);
          assert.ok(ms < deadlineMs + graceMs, `${ms} ms`);
          assert.ok(expected.map((each) => (each === "broken" ? each : its.status(each))).includes(end), `ended with ${end}: ${error}`);
          assert.ok(error instanceof its.base || end === "broken", String(error));
          if (end === "broken") continue;
          assert.ok(!(error instanceof its.noAnswer));
          its.check(error);
          assert.match(error.headers.get("x-should-retry"), /^(true|false)$/);
          if (error.status === 503 || error.status === 529) assert.ok(Number(error.headers.get("retry-after")) > 0);
        }
        await healthy();
      });

      test(`${mode}: an agent with a spare answers`, async () => {
        await upstream.fail({ mode });
        const { end, text, error, ms } = await endOf(() => its.ask(client, "chained", fresh()));
        assert.equal(end, "ok", String(error));
        assert.match(text, /^\[simulated\]/);
        assert.ok(ms < deadlineMs + graceMs, `${ms} ms`);
        const streamed = await endOf((onPiece) => its.stream(client, "chained", fresh(), onPiece));
        if (!begun(mode)) assert.equal(streamed.end, "ok", String(streamed.error));
        assert.ok(streamed.ms < deadlineMs + graceMs, `${streamed.ms} ms`);
        await healthy();
      });
    }

    test("down: refused connections are a 502, an agent with a spare answers, and it comes back", async () => {
      await upstream.fail({ mode: "down", to_ms: 2500 });
      await eventually("nobody listens", () => fetch(`${upstream.url}/v1/models`).then(() => false, () => true));
      const alone = await endOf(() => its.ask(client, "up/small", fresh()));
      assert.equal(alone.end, 502);
      its.check(alone.error);
      assert.ok(alone.ms < 1500, `${alone.ms} ms`);
      assert.equal((await endOf(() => its.ask(client, "chained", fresh()))).end, "ok");
      assert.equal((await endOf((onPiece) => its.stream(client, "chained", fresh(), onPiece))).end, "ok");
      await eventually("somebody listens again", () => fetch(`${upstream.url}/v1/models`).then(() => true, () => false), 10000);
      await healthy();
    });

    test("one failure in two is retried, and no client notices", async () => {
      await upstream.fail({ mode: "error_500", count: 1 });
      const before = (await upstream.counters()).calls;
      assert.equal((await endOf(() => its.ask(client, "up/small", fresh()))).end, "ok");
      assert.equal((await upstream.counters()).calls, before + 2);
      await healthy();
    });

    test("a broken stream is not begun again", async () => {
      await upstream.fail({ mode: "cut", count: 1 });
      const before = (await upstream.counters()).calls;
      assert.equal((await endOf((onPiece) => its.stream(client, "up/small", fresh(), onPiece))).end, "broken");
      assert.equal((await upstream.counters()).calls, before + 1);
      await healthy();
    });

    test("429, too many requests: waits as long as it is told, however often, and answers", async () => {
      // Three refusals are more than attempts_max: they are counted by themselves.
      await upstream.fail({ mode: "rate_limited", count: 2, retry_after_ms: 1000 });
      const before = (await upstream.counters()).calls;
      const { end, ms, error } = await endOf(() => its.ask(client, "up/small", fresh()));
      assert.equal(end, "ok", String(error));
      assert.ok(ms >= 2000, `${ms} ms`);
      assert.equal((await upstream.counters()).calls, before + 3);

      await upstream.fail({ mode: "rate_limited_tokens", count: 3, retry_after_ms: 300 });
      const tokens = await endOf(() => its.ask(client, "up/small", fresh()));
      assert.equal(tokens.end, "ok", String(tokens.error));
      assert.ok(tokens.ms >= 800, `${tokens.ms} ms`);
      await healthy();
    });

    test("429 that lasts: a default client hears of it in time, after six calls at most", async () => {
      await healthy();
      const eager = its.make(node);
      eager.maxRetries = 2; // The clients' own default.
      const limited = dialect === "openai" ? OpenAI.RateLimitError : Anthropic.RateLimitError;
      for (const retry_after_ms of [0, 300, 1000, 3000]) {
        await upstream.fail({ mode: "rate_limited", retry_after_ms });
        const before = (await upstream.counters()).calls;
        const { error, ms } = await endOf(() => its.ask(eager, "up/small", fresh()));
        assert.ok(error instanceof limited, String(error));
        const calls = (await upstream.counters()).calls - before;
        assert.ok(calls <= 6, `${calls} calls at ${retry_after_ms} ms`);
        assert.ok(ms < 3 * (retry_after_ms + 1000) + 5000, `${ms} ms at ${retry_after_ms} ms`);
        await healthy();
      }
      // One that would give up before the wait is over is told before it does.
      await upstream.fail({ mode: "rate_limited", retry_after_ms: 3000 });
      eager.maxRetries = 0;
      eager.timeout = 2000;
      const { error, ms } = await endOf(() => its.ask(eager, "up/small", fresh()));
      assert.ok(error instanceof limited, String(error));
      assert.equal(error.headers.get("retry-after"), "3");
      assert.ok(ms < 1000, `${ms} ms`);
      await healthy();
    });

    test("429, longer than anybody wants to wait: said at once, with when to come back", async () => {
      await upstream.fail({ mode: "rate_limited", retry_after_ms: 30000 });
      const { end, error, ms } = await endOf(() => its.ask(client, "up/small", fresh()));
      assert.equal(end, 429);
      assert.ok(ms < 1000, `${ms} ms`);
      assert.ok(Math.abs(Number(error.headers.get("retry-after")) - 30) <= 2);
      assert.equal(error.headers.get("x-should-retry"), "true");
      its.check(error);
      const kind = dialect === "openai" ? error.code : error.error.error.type;
      assert.equal(kind, dialect === "openai" ? "rate_limit_exceeded" : "rate_limit_error");
      await upstream.heal();
    });

    test("429 or 529 of an overloaded provider: backed off, counted, and elsewhere if there is a spare", async () => {
      await healthy();
      await upstream.fail({ mode: "overloaded" });
      const before = (await upstream.counters()).calls;
      const { end, ms } = await endOf(() => its.ask(client, "up/small", fresh()));
      assert.equal(end, its.status(503));
      assert.equal((await upstream.counters()).calls, before + 2); // attempts_max.
      assert.ok(ms < 1500, `${ms} ms`);
      assert.equal((await endOf(() => its.ask(client, "chained", fresh()))).end, "ok");
      await healthy();
    });
  });

  test(`an empty account at ${dialect}: final, and the provider is left alone for a while`, async () => {
    const upstream = await Simulated.start({ sets: ["upstream.first_token_ms=1"] });
    const quota = "\n[provider.up.quota]\nhold_ms = 1000\n";
    const node = await SkepNode.start(providerConfig(dialect, upstream, { provider, extra: chain + quota }), { env: { UP_KEY: "k" } });
    const client = its.make(node);
    await upstream.fail({ mode: "quota" });
    const { end, error, ms } = await endOf(() => its.ask(client, "up/small", "one"));
    assert.equal(end, 429);
    assert.equal(error.headers.get("x-should-retry"), "false");
    assert.ok(ms < 1000, `${ms} ms`);
    its.check(error);
    if (dialect === "openai") assert.equal(error.code, "insufficient_quota");
    assert.equal((await upstream.counters()).calls, 1); // Not tried again.
    for (let n = 0; n < 5; n += 1)
      assert.ok([429, its.status(503)].includes((await endOf(() => its.ask(client, "up/small", `more ${n}`))).end));
    assert.equal((await upstream.counters()).calls, 1); // Nor asked at all.
    assert.equal((await endOf(() => its.ask(client, "chained", "x"))).end, "ok");
    await upstream.heal();
    await eventually("it is asked again when the hold is over", async () =>
      (await endOf(() => its.ask(client, "up/small", "again"))).end === "ok", 15000);
    assert.equal(await node.stop(), 0);
    assert.equal(await upstream.stop(), 0);
  });
}

test("a provider out of reach: clients hear its name, the log hears where and why, each once", async () => {
  const [silent] = await freePorts(1); // Nobody listens there.
  const node = await SkepNode.start(`
[provider.gone]
base_url = "http://127.0.0.1:${silent}/v1"
attempts_max = 1
`);
  for (let n = 0; n < 3; n += 1) {
    const answer = await node.chat("gone/small", `one ${n}`);
    assert.equal(answer.status, 502);
    assert.equal(answer.headers.get("x-skep-provider"), "gone");
    assert.equal(answer.headers.get("x-skep-attempts"), "1");
    assert.equal((await answer.json()).error.message, "the provider gone cannot be reached");
    assert.deepEqual((await (await fetch(`${node.url}/v1/models`)).json()).data, []);
  }
  const lines = (words) => node.stderr.split("\n").filter((line) =>
    line.includes(words) && line.includes("gone") && line.includes(`127.0.0.1:${silent}`) && !line.includes(" /v1/"));
  await eventually("it is logged", () => lines("its models are not listed").length > 0);
  for (const words of ["provider in trouble", "its models are not listed"]) {
    assert.equal(lines(words).length, 1, node.stderr);
    assert.match(lines(words)[0], /warn/);
  }
  assert.equal(await node.stop(), 0);
});

test("a stream that moves outlives request_timeout_ms, a whole answer does not", async () => {
  const node = await SkepNode.start(`
[gateway]
request_timeout_ms = 700
[provider.slow]
kind = "simulated"
[provider.slow.simulated]
first_token_ms = 1
tokens_per_s = 20
tokens_min = 40
tokens_max = 40
[agent.helper]
models = ["slow/small"]
`);
  for (const model of ["slow/small", "helper"]) {
    const began = Date.now();
    const streamed = await (await node.chat(model, "go on", { stream: true })).text();
    assert.match(streamed, /data: \[DONE\]\n\n$/);
    assert.ok(Date.now() - began > 1400, "it took longer than the time-out");
    const whole = await node.chat(model, "at once");
    assert.equal(whole.status, 504);
    assert.equal(whole.headers.get("x-should-retry"), "false");
    assert.equal(whole.headers.get("x-skep-provider"), "slow");
  }
  assert.equal(await node.stop(), 0);
});
