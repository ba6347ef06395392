// One upstream call for many equal requests, wherever in a cluster they come in, and whoever dies.
import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { Cluster } from "./support/cluster.mjs";
import { eventually } from "./support/node.mjs";

/// An upstream that counts its calls and answers when the test says so.
class Gate {
  calls = [];

  static async open() {
    const gate = new Gate();
    gate.server = http.createServer((request, response) => {
      let text = "";
      request.on("data", (piece) => (text += piece));
      request.on("end", () => gate.calls.push({ body: JSON.parse(text), response }));
    });
    await new Promise((done) => gate.server.listen(0, "127.0.0.1", done));
    gate.url = `http://127.0.0.1:${gate.server.address().port}/v1`;
    return gate;
  }

  whole(n, content) {
    const { body, response } = this.calls[n];
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({
      id: "chatcmpl-up", object: "chat.completion", created: 1700000000, model: body.model,
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
      choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    }));
  }

  piece(n, content, finish = null) {
    const { body, response } = this.calls[n];
    if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
    const chunk = { id: "chatcmpl-up", object: "chat.completion.chunk", created: 1700000000, model: body.model,
                    choices: [{ index: 0, delta: { content }, finish_reason: finish }] };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    if (finish) response.end("data: [DONE]\n\n");
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

async function sum(cluster, metric, names = cluster.up()) {
  const texts = await Promise.all(names.map(async (name) => (await fetch(`${cluster.nodes[name].url}/metrics`)).text()));
  return texts.join("\n").split("\n").filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
    .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}

function ask(cluster, name, question, { stream = false, signal } = {}) {
  return fetch(`${cluster.nodes[name].url}/v1/chat/completions`, {
    method: "POST", signal, headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "gated", stream, messages: [{ role: "user", content: question }] }),
  });
}

async function textOf(response) {
  assert.equal(response.status, 200);
  if (!/event-stream/.test(response.headers.get("content-type")))
    return (await response.json()).choices[0].message.content;
  const events = (await response.text()).split("\n\n").filter(Boolean);
  assert.equal(events.at(-1), "data: [DONE]");
  return events.slice(0, -1).map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content ?? "").join("");
}

function gated(name, body) {
  test(name, async (t) => {
    const gate = await Gate.open();
    const extra = () => `
[provider.gate]
base_url = "${gate.url}"
models = ["m"]
attempts_max = 1
[agent.gated]
cache = "all"
models = ["gate/m"]
`;
    let cluster;
    try {
      cluster = await Cluster.start({ extra });
      await body(cluster, gate, t);
    } finally {
      await gate.close();
      await cluster?.stop();
    }
  });
}

gated("a thousand equal requests at three nodes make one upstream call", async (cluster, gate) => {
  const asked = Array.from({ length: 1000 }, (_, n) => ask(cluster, cluster.names[n % 3], "why?", { stream: n % 2 === 0 }));
  await eventually("all wait for an answer", async () => (await sum(cluster, "skep_flight_followers")) >= 1000, 20000);
  assert.equal(gate.calls.length, 1);
  if (gate.calls[0].body.stream) {
    gate.piece(0, "because");
    gate.piece(0, "", "stop");
  } else {
    gate.whole(0, "because");
  }
  const responses = await Promise.all(asked);
  const words = responses.map((response) => response.headers.get("x-skep-cache"));
  for (const response of responses) assert.equal(await textOf(response), "because");
  assert.equal(gate.calls.length, 1);
  assert.equal(words.filter((word) => word === "MISS").length, 1);
  assert.ok(words.every((word) => ["MISS", "SHARED", "HIT"].includes(word)), [...new Set(words)].join());
  const again = await ask(cluster, "b", "why?");
  assert.equal(again.headers.get("x-skep-cache"), "HIT");
  assert.equal(await textOf(again), "because");
});

gated("who comes late to a stream at another node reads it from its beginning", async (cluster, gate) => {
  const leaving = new AbortController();
  const first = await (async () => {
    const asked = ask(cluster, "a", "how?", { stream: true, signal: leaving.signal });
    await eventually("the upstream is asked", () => gate.calls.length === 1);
    gate.piece(0, "step ");
    return asked;
  })();
  assert.equal(first.headers.get("x-skep-cache"), "MISS");
  const late = await Promise.all(["a", "b", "c"].map((name) => ask(cluster, name, "how?", { stream: true })));
  assert.deepEqual(late.map((response) => response.headers.get("x-skep-cache")), ["SHARED", "SHARED", "SHARED"]);
  // The one who began it goes; the call goes on.
  leaving.abort();
  await first.text().catch(() => {});
  gate.piece(0, "by ");
  gate.piece(0, "step");
  gate.piece(0, "", "stop");
  for (const response of late) assert.equal(await textOf(response), "step by step");
  assert.equal(gate.calls.length, 1);
});

gated("when the node that leads the call is killed, one other call takes its place", async (cluster, gate, t) => {
  // Found by asking: the node whose flight leads.
  const leaders = [];
  const asked = cluster.names.map((name) => ({ name, answer: null }));
  asked[0].answer = ask(cluster, "a", "where?").catch((error) => error);
  await eventually("the upstream is asked", () => gate.calls.length === 1);
  for (const name of cluster.names) if ((await sum(cluster, "skep_flight_led_total", [name])) > 0) leaders.push(name);
  assert.deepEqual(leaders, ["a"]);
  const survivors = ["b", "c"].flatMap((name) => Array.from({ length: 100 }, () => ask(cluster, name, "where?")));
  await eventually("they wait for it", async () => (await sum(cluster, "skep_flight_followers", ["b", "c"])) >= 200);
  assert.equal(gate.calls.length, 1);
  const began = Date.now();
  await cluster.kill("a");
  await eventually("another call is made", () => gate.calls.length === 2, 10000);
  t.diagnostic(`the baton was passed after ${Date.now() - began} ms`);
  await cluster.settled(["b", "c"]);
  gate.whole(1, "here");
  for (const response of await Promise.all(survivors)) assert.equal(await textOf(response), "here");
  assert.equal(gate.calls.length, 2);
  await asked[0].answer;
});
