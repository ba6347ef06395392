// Embeddings through the official client, and the semantic cache of a node.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { SkepNode } from "./support/node.mjs";

const config = `
[gateway]
default_provider = "sim"
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 0
tokens_per_s = 0.0
[semantic.faq]
similarity_min = 0.7
[agent.helper]
cache = "all"
models = ["sim/any"]
semantic_cache = "faq"
`;

let node;
let client;

before(async () => {
  node = await SkepNode.start(config);
  client = new OpenAI({ baseURL: `${node.url}/v1`, apiKey: "any", maxRetries: 0 });
});

after(async () => {
  assert.equal(await node.stop(), 0);
});

const cosine = (a, b) => a.reduce((sum, each, n) => sum + each * b[n], 0);

test("embeddings come through the client's default base64", async () => {
  const input = ["How do I reset my password?", "how can I reset the password", "boiling lead"];
  const { data, model, usage } = await client.embeddings.create({ model: "sim/vectors", input });
  assert.equal(model, "[simulated] vectors");
  assert.deepEqual(data.map((each) => each.index), [0, 1, 2]);
  const [a, b, c] = data.map((each) => Array.from(each.embedding));
  assert.equal(a.length, 256);
  assert.ok(Math.abs(cosine(a, a) - 1) < 1e-5);
  assert.ok(cosine(a, b) > cosine(a, c));
  assert.ok(usage.total_tokens > 0);
});

test("numbers and base64 are the same vectors", async () => {
  const ask = (encoding_format) =>
    client.embeddings.create({ model: "vectors", input: "one text", encoding_format });
  const numbers = await ask("float");
  const packed = await ask("base64");
  assert.equal(typeof packed.data[0].embedding, "string");
  const bytes = Buffer.from(packed.data[0].embedding, "base64");
  const unpacked = Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readFloatLE(4 * n));
  assert.deepEqual(numbers.data[0].embedding.map(Math.fround), unpacked);
});

test("a wrong input is an error of the client", async () => {
  await assert.rejects(client.embeddings.create({ model: "sim/vectors", input: [] }), (error) => {
    assert.equal(error.status, 400);
    assert.equal(error.param, "input");
    return true;
  });
  await assert.rejects(client.embeddings.create({ model: "helper", input: "a" }), { status: 404 });
});

const ask = (text, model = "helper") =>
  client.chat.completions.create({ model, messages: [{ role: "user", content: text }] }).withResponse();

test("a policy measures in shadow and serves nothing that is not proved", async () => {
  await ask("How do I reset the password of user 42?");
  for (const text of ["how can I reset the password of user 42", "How do I reset the password of user 43?"]) {
    const { response } = await ask(text);
    assert.notEqual(response.headers.get("x-skep-cache"), "SEMANTIC");
  }
  assert.equal(await node.metric("skep_semantic_candidates_total", { policy: "faq" }), 1);
  assert.equal(await node.metric("skep_semantic_served_total", { policy: "faq" }), 0);
  assert.equal(await node.metric("skep_semantic_serving", { policy: "faq" }), 0);
});

/// Knows where products are; the answer follows from the question's product alone, until `moved`.
async function shop() {
  const state = { moved: "", asked: 0 };
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      state.asked += 1;
      const [, product] = /product (\w+)/.exec(JSON.parse(text).messages.at(-1).content);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({
        id: "chatcmpl-up", object: "chat.completion", created: 1700000000, model: "m",
        usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
        choices: [{ index: 0, message: { role: "assistant", content: `Shelf ${state.moved}${product}.` }, finish_reason: "stop" }],
      }));
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return Object.assign(state, { url: `http://127.0.0.1:${server.address().port}/v1`, close: () => {
    server.closeAllConnections();
    server.close();
  } });
}

test("a policy that has proved itself serves, labels what it serves, can be told not to, and notices drift", async () => {
  const upstream = await shop();
  // A loose budget, so that some dozens of comparisons prove it.
  const serving = await SkepNode.start(`
[provider.up]
base_url = "${upstream.url}"
models = ["m"]
[semantic.shelves]
mode = "serve"
similarity_min = 0.7
budget_percent = 20.0
samples_min = 20
window_max = 40
explore_percent = 50.0
[agent.clerk]
cache = "all"
models = ["up/m"]
semantic_cache = "shelves"
`);
  const clerk = async (content, headers = {}) => {
    const response = await fetch(`${serving.url}/v1/chat/completions`, {
      method: "POST", headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "clerk", messages: [{ role: "user", content }] }),
    });
    assert.equal(response.status, 200);
    return { how: response.headers.get("x-skep-cache"), key: response.headers.get("x-skep-cache-key"),
             similarity: Number(response.headers.get("x-skep-cache-similarity")),
             text: (await response.json()).choices[0].message.content };
  };
  /// Asks in two ways for one product after the other until `enough(second answer, number)`.
  const until = async (prefix, enough) => {
    for (let n = 0; n < 400; ++n) {
      const product = `${prefix}${n}`;
      const first = await clerk(`Where is product ${product} in the shop?`);
      const second = await clerk(`where is the product ${product} in the shop`);
      if (await enough(second, n)) return { product, first, second };
    }
    return null;
  };
  try {
    const proved = await until("a", ({ how }) => how === "SEMANTIC");
    assert.ok(proved, "it never served");
    const { product, first, second } = proved;
    assert.equal(second.text, first.text);
    assert.equal(second.key, first.key);
    assert.ok(second.similarity > 0.7 && second.similarity <= 1, `${second.similarity}`);
    assert.ok(await serving.metric("skep_semantic_samples", { policy: "shelves" }) >= 20);

    // Another product is another question, however alike the texts are.
    const other = await clerk("where is the product zz in the shop");
    assert.deepEqual([other.how, other.text], ["MISS", "Shelf zz."]);
    // A client may pass over all caches.
    const asked = upstream.asked;
    assert.equal((await clerk(`where is the product ${product} in the shop`, { "cache-control": "no-store" })).how, "BYPASS");
    assert.equal(upstream.asked, asked + 1);
    // Cleared by its key, it is revoked as well.
    await fetch(`${serving.url}/api/v1/performance/cache/clear`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ key: first.key }),
    });
    for (const text of [`where's product ${product} in the shop`, `where is a product ${product} in the shop`])
      assert.notEqual((await clerk(text)).key, first.key);

    // The shop is rearranged: what was proved no longer holds, and it falls back to measuring.
    const fell = await until("b", async (_, n) => {
      upstream.moved = n % 2 === 0 ? "north " : "south ";
      const late = await clerk(`where is a product b${n} in the shop`);
      return late.how !== "SEMANTIC" && (await serving.metric("skep_semantic_serving", { policy: "shelves" })) === 0;
    });
    assert.ok(fell, "it never fell back");
    assert.ok(await serving.metric("skep_semantic_compared_total", { policy: "shelves", outcome: "wrong" }) > 0);
  } finally {
    assert.equal(await serving.stop(), 0);
    upstream.close();
  }
});
