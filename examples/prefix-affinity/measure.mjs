// What prefix affinity is worth: agents with growing conversations, answered by two servers behind
// one skep node, once balanced by load alone and once with conversations kept at one server.
// Prints the share of prompt tokens the servers had cached and the latency of an answer.
//
//   node measure.mjs URL URL [--skep PATH] [--model NAME] [--agents N] [--turns N] [--runs N]
//                             [--think MS]
//
// Each URL is an OpenAI-compatible server that reports usage.prompt_tokens_details.cached_tokens,
// "http://127.0.0.1:8001/v1". Needs Node.js 18 or later and nothing else.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

const { values: options, positionals: urls } = parseArgs({
  allowPositionals: true,
  options: {
    skep: { type: "string", default: "build/release/skep" },
    model: { type: "string", default: "any" },
    agents: { type: "string", default: "6" },
    turns: { type: "string", default: "12" },
    runs: { type: "string", default: "5" },
    // The mean time an agent spends on its tools between two calls; without it, an agent's next call
    // finds the server that has just answered it the least busy one.
    think: { type: "string", default: "300" },
  },
});
const agents = Number(options.agents);
const turns = Number(options.turns);
const runs = Number(options.runs);
const think = Number(options.think);
if (urls.length < 2 || !(agents > 0 && turns > 0 && runs > 0 && think >= 0)) {
  console.error("usage: node measure.mjs URL URL [--skep PATH] [--model NAME] [--agents N] [--turns N] [--runs N] [--think MS]");
  process.exit(2);
}

/// A node over the servers; resolves with its URL and a way to end it.
async function startNode(affinity) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-affinity-"));
  const file = path.join(folder, "node.toml");
  const ready = path.join(folder, "ready");
  // Without a response cache: every call reaches a server.
  fs.writeFileSync(file, `
[log]
level = "warn"
[cache]
shards = 0
[provider.servers]
base_urls = ${JSON.stringify(urls)}
affinity = "${affinity}"
`);
  const child = spawn(options.skep, ["run", file, "--listen", "127.0.0.1:0", "--ready-file", ready],
                      { stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise((done) => child.on("exit", done));
  child.on("error", (error) => console.error(`${options.skep}: ${error.message}`));
  const deadline = Date.now() + 10000;
  while (!fs.existsSync(ready)) {
    if (child.exitCode !== null || child.pid === undefined || Date.now() > deadline)
      throw new Error("the node did not start");
    await new Promise((next) => setTimeout(next, 10));
  }
  const url = `http://${fs.readFileSync(ready, "utf8").trim()}`;
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
    fs.rmSync(folder, { recursive: true, force: true });
  };
  return { url, stop };
}

/// One agent: its conversation grows by a question and an answer with every turn.
async function converse(node, name, into) {
  const messages = [{ role: "system", content: `You are ${name}. ${"You answer in few words. ".repeat(24)}` }];
  for (let turn = 1; turn <= turns; turn += 1) {
    messages.push({ role: "user",
                    content: `Question ${turn} of ${name}: ${`please look at item ${turn} once more. `.repeat(4)}` });
    const began = performance.now();
    const answer = await fetch(`${node.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: `servers/${options.model}`, messages, max_tokens: 8 }),
    });
    const body = await answer.json();
    if (answer.status !== 200) throw new Error(`status ${answer.status}: ${JSON.stringify(body.error)}`);
    into.latencies.push(performance.now() - began);
    into.prompt += body.usage.prompt_tokens;
    into.cached += body.usage.prompt_tokens_details?.cached_tokens ?? 0;
    messages.push({ role: "assistant", content: body.choices[0].message.content ?? "" });
    await new Promise((next) => setTimeout(next, 2 * think * Math.random()));
  }
}

const quantile = (sorted, p) => sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];

/// Names are new each time: what an earlier run left in the servers' caches is of no use.
async function run(affinity, number) {
  const node = await startNode(affinity);
  const seen = { latencies: [], prompt: 0, cached: 0 };
  const began = performance.now();
  try {
    const name = (n) => `agent ${n} of ${affinity} ${number} ${Date.now()}`;
    await Promise.all(Array.from({ length: agents }, (_, n) => converse(node, name(n), seen)));
  } finally {
    await node.stop();
  }
  seen.latencies.sort((a, b) => a - b);
  return { cached: (100 * seen.cached) / seen.prompt, p50: quantile(seen.latencies, 0.5),
           p99: quantile(seen.latencies, 0.99), seconds: (performance.now() - began) / 1000 };
}

const results = { none: [], prefix: [] };
for (let number = 0; number < runs; number += 1)
  for (const affinity of ["none", "prefix"]) {
    const one = await run(affinity, number);
    results[affinity].push(one);
    console.error(`run ${number + 1} ${affinity}: ${one.cached.toFixed(1)} % cached, p50 ${one.p50.toFixed(0)} ms`);
  }

const column = (affinity, figure, digits) => {
  const all = results[affinity].map((each) => each[figure]).sort((a, b) => a - b);
  return `${quantile(all, 0.5).toFixed(digits)} (${all[0].toFixed(digits)} to ${all.at(-1).toFixed(digits)})`;
};
console.log(`${agents} agents, ${turns} turns each, ${urls.length} servers; median of ${runs} interleaved runs (least to most)\n`);
console.log("| affinity | cached prompt tokens, % | p50, ms | p99, ms |\n|---|---|---|---|");
for (const affinity of ["none", "prefix"])
  console.log(`| ${affinity} | ${column(affinity, "cached", 1)} | ${column(affinity, "p50", 0)} | ${column(affinity, "p99", 0)} |`);
