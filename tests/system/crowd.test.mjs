// Too many clients, too few descriptors: who is at work is served all the same.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";

import { SkepNode, upstreamConfig } from "./support/node.mjs";
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
  assert.match(node.stderr, /file descriptors: with 128 of them there is room for \d+ of 10000/);
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
