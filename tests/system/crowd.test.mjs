// Too many clients, too few descriptors: who is at work is served all the same.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";

import { LoopbackServer } from "./support/loopback_server.mjs";
import { eventually, SkepNode, upstreamConfig } from "./support/node.mjs";
import { Upstream } from "./support/upstream.mjs";

/// Starts what follows with at most `count` file descriptors, for good.
const descriptors = (count) => ["sh", "-c", `ulimit -n ${count}; exec "$0" "$@"`];

/// A keep-alive connection that has asked once and waits, as a browser's does.
function idleConnection(node) {
  const at = node.address.lastIndexOf(":");
  const socket = net.connect(Number(node.address.slice(at + 1)), node.address.slice(0, at));
  socket.on("error", () => {}); // The node may close it at any time.
  socket.answered = new Promise((done) => {
    socket.once("data", done);
    socket.once("close", done);
  });
  socket.write("GET /health HTTP/1.1\r\nhost: t\r\n\r\n");
  return socket;
}

test("hundreds of idle connections do not cut the node off from its providers", async () => {
  const upstream = await new Upstream().start();
  const node = await SkepNode.start(upstreamConfig(upstream.url), { prefix: descriptors(128) });
  const told = /file descriptors: with 128 of them there is room for \d+ of 10000/;
  await eventually("the log says what there is room for", () => told.test(node.stderr));
  const idle = [];
  for (let n = 0; n < 600; n += 1) {
    idle.push(idleConnection(node));
    await idle.at(-1).answered;
  }
  for (let n = 0; n < 40; n += 4) {
    const answers = await Promise.all([0, 1, 2, 3].map((lane) => node.chat("helper", `question ${n + lane}`)));
    for (const answer of answers) {
      assert.equal(answer.status, 200);
      await answer.json();
    }
  }
  assert.ok(await node.metric("skep_http_idle_closed_total") >= 500);
  assert.equal(await node.metric("skep_http_accept_failures_total"), 0);
  for (const socket of idle) socket.destroy();
  assert.equal(await node.stop(), 0);
  await upstream.stop();
});

test("a soft limit of descriptors is raised to the hard one", async () => {
  const node = await SkepNode.start("[node]\nname = \"n\"\n", { prefix: ["sh", "-c", 'ulimit -Sn 64; exec "$0" "$@"'] });
  const limits = fs.readFileSync(`/proc/${node.child.pid}/limits`, "utf8");
  const [, soft, hard] = /Max open files\s+(\d+)\s+(\d+)/.exec(limits);
  assert.equal(soft, hard);
  assert.equal(await node.stop(), 0);
});

test("a node started without standard streams gives their numbers to nobody", async () => {
  const node = await SkepNode.start("[node]\nname = \"n\"\n", { prefix: ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'] });
  for (const number of [0, 1, 2])
    assert.equal(fs.readlinkSync(`/proc/${node.child.pid}/fd/${number}`), "/dev/null");
  assert.equal((await fetch(`${node.url}/health`)).status, 200);
  assert.equal(await node.stop(), 0);
});

/// Answers once it is told to, all at once, with a text of so many bytes.
class LargeUpstream extends LoopbackServer {
  waiting = [];

  serve(request, response) {
    request.resume();
    request.on("end", () => this.waiting.push(response));
  }

  answer(bytes) {
    const body = JSON.stringify({
      id: "chatcmpl-up", object: "chat.completion", created: 1700000000, model: "large",
      choices: [{ index: 0, message: { role: "assistant", content: "x".repeat(bytes) }, finish_reason: "stop" }],
    });
    for (const response of this.waiting) response.writeHead(200, { "content-type": "application/json" }).end(body);
  }
}

/// Asks for the large answer and reads nothing until take().
function slowReader(node) {
  const at = node.address.lastIndexOf(":");
  const socket = net.connect(Number(node.address.slice(at + 1)), node.address.slice(0, at));
  socket.pause();
  const body = JSON.stringify({ model: "up/large", messages: [{ role: "user", content: "hi" }] });
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    + `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  socket.take = async () => {
    const pieces = [];
    for await (const piece of socket) pieces.push(piece);
    const [head, text] = Buffer.concat(pieces).toString("latin1").split("\r\n\r\n", 2);
    return { head, text };
  };
  return socket;
}

test("a large answer is held once for all who asked for it and do not read", async () => {
  const bytes = 15_000_000;
  const clients = 100;
  const upstream = await new LargeUpstream().start();
  const node = await SkepNode.start(upstreamConfig(upstream.url).replace("attempts_max", `cache = "all"\nattempts_max`));
  const readers = Array.from({ length: clients }, () => slowReader(node));
  await eventually("all wait", async () => await node.metric("skep_flight_followers") >= clients, 20_000);
  await eventually("the provider is asked", () => upstream.waiting.length > 0, 20_000);
  upstream.answer(bytes);
  await eventually("all are answered", async () => await node.metric("skep_flight_followers") === 0, 20_000);
  // The first caller's answer has the provider's id, of another length: its end is the same.
  const held = await node.metric("skep_http_answers_bytes");
  assert.ok(held > bytes && held < 1.1 * bytes, `held: ${held}`);
  if (process.env.SKEP_SHOW_MEMORY) console.log(`resident: ${node.residentMb()} MB, held: ${held}`);
  const ids = new Set();
  for (const reader of readers) {
    const { head, text } = await reader.take();
    assert.match(head, /^HTTP\/1\.1 200 /);
    const answer = JSON.parse(text);
    assert.equal(answer.choices[0].message.content.length, bytes);
    ids.add(answer.id);
  }
  assert.equal(ids.size, clients);
  assert.equal(upstream.waiting.length, 1);
  await eventually("nothing is held", async () => await node.metric("skep_http_answers_bytes") < bytes, 20_000);
  assert.equal(await node.stop(), 0);
  await upstream.stop();
});
