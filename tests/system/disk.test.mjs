// Disks that are full: files that may not grow. The bound is lifted while the node runs.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { Cluster } from "./support/cluster.mjs";
import { eventually, SkepNode } from "./support/node.mjs";

/// A command that starts a program whose files grow up to so many bytes.
const filesUpTo = (bytes) => ["prlimit", `--fsize=${bytes}:unlimited`, "--"];

function makeRoom(node) {
  assert.equal(spawnSync("prlimit", ["--pid", String(node.child.pid), "--fsize=unlimited:unlimited"]).status, 0);
}

test("answers go on when the store's disk is full, which is counted and logged, and kept again after it", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-disk-test-"));
  const node = await SkepNode.start(`
[store]
path = "${path.join(folder, "responses.db")}"
[provider.sim]
kind = "simulated"
[agent.assistant]
models = ["sim/small"]
`, { prefix: filesUpTo(150_000) });
  const ask = async (input) => {
    const answer = await fetch(`${node.url}/v1/responses`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ model: "assistant", input }),
    });
    assert.equal(answer.status, 200);
    return (await answer.json()).id;
  };
  const kept = async (id) => (await fetch(`${node.url}/v1/responses/${id}`)).status === 200;
  assert.ok(await kept(await ask("while there is room")));
  for (let n = 0; n < 60; n += 1) await ask(`${n} ${"long ".repeat(1500)}`);
  assert.ok(await node.metric("skep_store_failed_total") > 0);
  assert.equal((await fetch(`${node.url}/ready`)).status, 200);
  await eventually("the log says so", () => /store.*(full|disk|cannot)/i.test(node.stderr));
  makeRoom(node);
  await eventually("answers are kept again", async () => kept(await ask("there is room again")), 15000);
  assert.equal(await node.stop(), 0);
  fs.rmSync(folder, { recursive: true });
});

test("a seed that cannot write its ballot does not vote, says so, and votes when there is room", async () => {
  // The ready file has 16 bytes at most, a ballot more.
  const hive = await Cluster.start({ start: (name) => (name === "a" ? { prefix: filesUpTo(18) } : {}) });
  try {
    // The first seed would propose the first view; another one has.
    assert.notEqual((await hive.view("a")).view.proposer, "a");
    const standing = async () => (await hive.ready("a")).status;
    assert.equal(await standing(), "degraded: does not vote: its ballot file cannot be written");
    await hive.kill("c");
    assert.equal(hive.nodes.a.child.exitCode, null);
    makeRoom(hive.nodes.a);
    await eventually("both make a view", () => hive.serves("a", ["a", "b"]), 20000);
    assert.match(hive.nodes.a.stderr, /the ballot file .* is written again/);
    assert.equal(await standing(), "ready");
  } finally {
    await hive.stop();
  }
});
