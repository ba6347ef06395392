#!/usr/bin/env node
// An agent of a skep cluster in JavaScript: says the last message of a conversation backwards, word by
// word. One line per event on stdout.
//   node index.mjs --cluster hive --seed a=tcp://127.0.0.1:7401
import { parseArgs } from "node:util";

import { Keys, readPublicKeys } from "./lib/keys.mjs";
import { chatChunk, chatEnd, chatOpen, chatReply, chatRequest, code, costOfChunk } from "./lib/messages.mjs";
import { Peer } from "./lib/peer.mjs";

const usage = `usage: node index.mjs --seed NAME=ADDRESS [--seed …] [options]
  --seed NAME=ADDRESS   a node of the cluster: a=tcp://127.0.0.1:7401; the others are learned from it
  --cluster NAME        the cluster's name (skep)
  --name NAME           clients call the agent by this name (foreign)
  --node NAME           this process's name among the nodes (the agent's name)
  --listen ADDRESS      where nodes connect to (tcp://127.0.0.1:*)
  --advertise ADDRESS   what nodes are told instead, when that differs
  --keys FILE           the cluster's public_keys.toml (skep cluster keygen); the secret key is in the
                        environment: SKEP_CLUSTER_SECRET_KEY
  --word-ms N           milliseconds from one word of a stream to the next (0)`;

function stop(why) {
  console.error(`${why}\n\n${usage}`);
  process.exit(2);
}

function readKeys(node, file) {
  const secret = process.env.SKEP_CLUSTER_SECRET_KEY;
  if (!secret) stop("SKEP_CLUSTER_SECRET_KEY is not set");
  try {
    return new Keys(node, readPublicKeys(file), secret);
  } catch (error) {
    stop(`--keys ${file}: ${error.message}`);
  }
}

function readOptions() {
  const text = (value) => ({ type: "string", default: value });
  let values;
  try {
    ({ values } = parseArgs({ options: {
      seed: { type: "string", multiple: true, default: [] }, cluster: text("skep"), name: text("foreign"),
      node: text(""), listen: text("tcp://127.0.0.1:*"), advertise: text(""), keys: text(""),
      "word-ms": text("0"), help: { type: "boolean" },
    } }));
  } catch (error) {
    stop(error.message);
  }
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const seeds = values.seed.map((seed) => {
    const [, name, address] = /^([^=]+)=(tcp:\/\/.+)$/.exec(seed) ?? stop(`--seed ${seed} is not NAME=tcp://HOST:PORT`);
    return { name, address };
  });
  if (seeds.length === 0) stop("no --seed is given");
  const wordMs = Number(values["word-ms"]);
  if (!(wordMs >= 0)) stop("--word-ms is no number");
  const node = values.node || values.name;
  return { ...values, seeds, wordMs, node, keys: values.keys ? readKeys(node, values.keys) : null };
}

const options = readOptions();
const log = (...words) => console.log(...words);

// -- the agent ------------------------------------------------------------------------------------

function wordsOf(request) {
  const last = request.messages.filter((message) => message.role === "user").at(-1);
  if (!last) throw Object.assign(new Error("there is no user message to answer"), { code: code.badRequest });
  return last.content.split(/\s+/).filter(Boolean).reverse();
}

async function answer(call, request) {
  const words = wordsOf(request);
  const origin = { provider: "", attempts: 1 };
  const tokens = { prompt: words.length, completion: words.length, estimated: true };
  const heading = { id: `chatcmpl-${call.id}`, created: Math.floor(Date.now() / 1000), model: request.model, origin };
  if (!request.stream) {
    const choice = { content: words.join(" "), finishReason: "stop" };
    return call.reply(chatReply, { ...heading, choices: [choice], usage: tokens });
  }
  call.open(chatOpen, heading);
  const say = (chunk) => call.chunk(chatChunk, chunk, costOfChunk(chunk));
  for (const [n, word] of words.entries()) {
    if (call.over) return;
    if (options.wordMs > 0) await new Promise((next) => setTimeout(next, options.wordMs));
    // Every so often others get their turn, however much credit there is.
    else if (n % 64 === 63) await new Promise((next) => setImmediate(next));
    await say({ content: n === 0 ? word : ` ${word}` });
  }
  await say({ content: "", finishReason: "stop" });
  call.end(chatEnd, { usage: tokens, origin });
}

// -- its life -------------------------------------------------------------------------------------

const peer = new Peer({
  cluster: options.cluster, node: options.node, bind: options.listen, advertise: options.advertise,
  seeds: options.seeds, keys: options.keys,
});
peer.serve(`agent/${options.name}`, chatRequest, answer);
peer.on("up", (node, address) => log("up", node, address));
peer.on("down", (node, why) => log("down", `${node}:`, why));
peer.on("refused", (why) => log("refused:", why));
peer.on("trouble", (why) => log("trouble:", why));
peer.on("request", (call) => log("request", call.id, "from", call.node, "to", call.name));
for (const event of ["paused", "resumed", "answered"]) peer.on(event, (call) => log(event, call.id));
for (const event of ["failed", "cancelled"]) peer.on(event, (call, why) => log(event, `${call.id}:`, why));

let stopping = false;
async function leave(why) {
  if (stopping) return;
  stopping = true;
  log("stopping:", why);
  await peer.stop();
  log("stopped");
  process.exit(0);
}
process.on("SIGTERM", () => leave("SIGTERM"));
process.on("SIGINT", () => leave("SIGINT"));
peer.on("drain", (node) => leave(`node ${node} asks this peer to leave`));

await peer.start();
log("listening", peer.address);
