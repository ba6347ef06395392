// Exchanges as real servers have them, through skep: README.md says what an exchange is and what is
// compared. SKEP_EXCHANGES=FOLDER runs over a folder of recordings instead, SKEP_EXCHANGES_ONLY=TEXT
// over those with the text in their name, SKEP_EXCHANGES_SEED=N cuts answers as another run did.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { SkepNode } from "../system/support/node.mjs";
import { ask, clientsAt, formOf, wholeOf } from "./support/ask.mjs";
import { differences, pick } from "./support/compare.mjs";
import { unmark } from "./support/known.mjs";
import { load, native } from "./support/load.mjs";
import { Replay } from "./support/replay.mjs";

const own = fileURLToPath(new URL("set", import.meta.url));
const folder = process.env.SKEP_EXCHANGES || own;
const only = process.env.SKEP_EXCHANGES_ONLY ?? "";
const seed = Number(process.env.SKEP_EXCHANGES_SEED || Date.now() % 1e6);
const exchanges = load(folder).filter((exchange) => exchange.id.includes(only));

const chats = ["chat", "messages", "responses"];
const doorsOf = (exchange) => (chats.includes(exchange.door) ? chats : [exchange.door]);
const bytewise_max = 20000; // Longer answers in single bytes take seconds and show nothing new.
const modesOf = ({ stream, fails, response: { text } }) => [
  ...(text.length <= bytewise_max ? ["bytes"] : []), "random", ...(stream && !fails ? ["crlf"] : []), "gzip"];

/// A provider that has failed is left alone for a while, so each call that fails has one of its own.
const providerOf = (exchange, door, mode) => (exchange.fails ? `${exchange.id}-${door}-${mode}` : exchange.provider);

function providers() {
  const kinds = new Map([["openai", "openai"], ["anthropic", "anthropic"]]);
  for (const exchange of exchanges.filter(({ fails }) => fails))
    for (const door of doorsOf(exchange))
      for (const mode of ["recorded", ...modesOf(exchange)]) kinds.set(providerOf(exchange, door, mode), exchange.provider);
  return [...kinds];
}

const config = (url) => `
[log]
level = "error"
${providers().map(([name, kind]) => `
[provider.${name}]
kind = "${kind}"
base_url = "${url}"
attempts_max = 1
[provider.${name}.breaker]
failures_max = 1000000
failure_rate_max = 1.0
rate_samples_min = 1000000
`).join("")}`;

/// What is asked at another door than the exchange's own: a question with the tools that the answer calls.
function questionAt(door, { stream, show }, model) {
  const names = [...new Set(show.calls.map((call) => call.name))];
  const schema = { type: "object", properties: {} };
  const tools = {
    chat: (name) => ({ type: "function", function: { name, parameters: schema } }),
    messages: (name) => ({ name, input_schema: schema }),
    responses: (name) => ({ type: "function", name, parameters: schema, strict: false }),
  };
  return {
    model, stream,
    ...(door === "responses" ? { input: "Please answer.", store: false } : { messages: [{ role: "user", content: "Please answer." }] }),
    ...(door === "messages" ? { max_tokens: 4096 } : {}),
    ...(door === "messages" && show.reasoning ? { thinking: { type: "enabled", budget_tokens: 1024 } } : {}),
    ...(door === "chat" && stream ? { stream_options: { include_usage: true } } : {}),
    ...(names.length > 0 ? { tools: names.map(tools[door]) } : {}),
  };
}

const nothing = { text: "", reasoning: "", refusal: "", calls: [] };

/// What the door has to show. Anthropic's API has no refusals: they are text there.
function expectedAt(door, exchange) {
  const { doors, ...show } = exchange.show;
  const finish = show.error || door === "embeddings" ? {} : { finish: show.calls?.length > 0 ? "tool_calls" : "stop" };
  const all = { ...nothing, ...finish, ...show, ...doors?.[door] };
  return door === "messages" && all.refusal ? { ...all, text: all.text + all.refusal, refusal: "" } : all;
}

/// Members that the expectation names, and of an error those that it names.
const inShow = (expected, form) =>
  differences(expected, pick(form, [...Object.keys(expected), ...(form.error ? ["error"] : [])]), { named: ["error"] });

/// What two calls for the same have in common: not their times, the ids of skep's, their providers' names.
const lasting = (got) => JSON.parse(JSON.stringify([got.events, got.value, got.error])
  .replace(/[0-9a-f]{32,}/g, "ID").replace(/"(created|created_at|completed_at)":\d+/g, '"$1":0')
  .replace(/[-~](recorded|bytes|random|crlf|gzip)\b/g, ""));

/// Only Anthropic's API has a word for a turn that is not over.
const paused = { finish: "stop", doors: { messages: { finish: "pause_turn" }, responses: { finish: "length" } } };

/// What doors have to show of a recording. A key that the provider refuses is skep's fault (502), and
/// some servers count more tokens as cached than there are.
function shownBy({ door, stream, request }, direct) {
  const form = formOf(door, direct);
  const { usage, error: { status, message } = {} } = form;
  if (status === 401 || status === 403) return { error: { status: 502 } };
  if (form.error) return status ? { error: { status, message } } : { text: form.text, reasoning: form.reasoning, error: { message } };
  const asked = door !== "embeddings" && (!stream || door !== "chat" || request.body.stream_options?.include_usage);
  if (!asked || usage?.cached > usage?.input) delete form.usage;
  if (form.finish === null) delete form.finish; // The other doors say "stop".
  if (form.finish === "pause_turn") return { ...form, ...paused };
  return form;
}

const lines_max = 8; // Of one check that fails.

const failed = new Map(); // Exchanges by the check that fails, known or not.

class Checks {
  failures = [];

  constructor(exchange) {
    this.exchange = exchange;
  }

  /// A known shortfall has to fail; anything else must not.
  add(name, found) {
    if (found.length > 0) failed.set(name, (failed.get(name) ?? 0) + 1);
    const reason = this.exchange.known[name];
    if (reason === undefined) this.failures.push(...found.slice(0, lines_max).map((line) => `${name}: ${line}`));
    else if (found.length === 0 && !unmark(this.exchange, name))
      this.failures.push(`${name}: known to fail ("${reason}"), and passes: remove the mark`);
  }
}

function sameAsDirect(exchange, direct, through) {
  const { equal, door } = exchange;
  if (!equal) return [];
  const said = ({ events, value, error }) => (error ? { events, error } : events ?? value);
  if (equal === "all") return differences(said(direct), said(through));
  const [from, to] = [direct, through].map((got) => wholeOf(door, got));
  return differences(pick(from, equal), pick(to, equal));
}

describe(`exchanges of ${path.basename(folder)}, seed ${seed}`, { concurrency: 4 }, () => {
  let upstream, node, through, direct;
  before(async () => {
    upstream = await new Replay(new Map(exchanges.map((exchange) => [exchange.id, exchange])), seed).start();
    node = await SkepNode.start(config(upstream.url));
    through = clientsAt(node.url);
    direct = clientsAt(upstream.url.replace(/\/v1$/, ""));
  });
  after(async () => {
    console.log(`${exchanges.length} exchanges; by check those that fail:`, Object.fromEntries(failed));
    await node?.stop();
    await upstream?.stop();
  });

  async function checkOwn(exchange, checks) {
    const { door, request, id, provider } = exchange;
    const model = `${id}~recorded.${door}`;
    const got = await ask(through, door, { ...request.body, model: `${providerOf(exchange, door, "recorded")}/${model}` }, request.headers);
    const sent = upstream.asked.get(model);
    if (native[door] === provider) {
      const plain = await ask(direct, door, { ...request.body, model: id }, request.headers);
      exchange.show ??= shownBy(exchange, plain);
      checks.add("equal", sameAsDirect(exchange, plain, got));
      checks.add("sent", differences({ ...request.body, model }, sent ?? "nothing"));
    }
    return got;
  }

  const askAt = (exchange, door, mode) => {
    const model = `${providerOf(exchange, door, mode)}/${exchange.id}~${mode}.${door}`;
    const body = door === exchange.door ? { ...exchange.request.body, model } : questionAt(door, { ...exchange, show: expectedAt(door, exchange) }, model);
    return ask(through, door, body, exchange.request.headers);
  };

  async function check(exchange) {
    const checks = new Checks(exchange);
    const asRecorded = new Map([[exchange.door, await checkOwn(exchange, checks)]]);
    for (const door of doorsOf(exchange)) {
      const got = asRecorded.get(door) ?? (await askAt(exchange, door, "recorded"));
      if (exchange.show.doors?.[door] !== null)
        checks.add(door, inShow(expectedAt(door, exchange), formOf(door, got)));
      const cut = [];
      for (const mode of modesOf(exchange))
        cut.push(...differences(lasting(got), lasting(await askAt(exchange, door, mode))).map((line) => `${mode}: ${line}`));
      checks.add(`${door} in pieces`, cut);
    }
    return checks.failures;
  }

  for (const exchange of exchanges)
    test(`${exchange.id}: ${exchange.about}`, async () => {
      const failures = await check(exchange);
      assert.equal(failures.length, 0, `\n${failures.join("\n")}\n(seed ${seed})`);
    });
});
