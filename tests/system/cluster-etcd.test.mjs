// The same with membership in etcd, and with etcd itself gone for a while.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { Cluster, Load, clientsOf, pause } from "./support/cluster.mjs";
import { command, eventually, freePorts } from "./support/node.mjs";

/// One etcd of our own on free ports; it keeps its data over kill() and start().
class Etcd {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-etcd-test-"));

  async start() {
    this.ports ??= await freePorts(2);
    const [client, peer] = this.ports.map((port) => `http://127.0.0.1:${port}`);
    this.url = client;
    this.child = spawn("etcd", [
      "--data-dir", path.join(this.folder, "data"), "--listen-client-urls", client, "--advertise-client-urls", client,
      "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`,
      "--log-level", "error",
    ], { stdio: "ignore" });
    this.exited = new Promise((done) => this.child.on("exit", done));
    await eventually("etcd answers", async () => {
      assert.equal(this.child.exitCode, null, "etcd ended");
      const answer = await fetch(`${client}/health`).catch(() => null);
      return answer !== null && (await answer.json()).health === "true";
    }, 15000);
    return this;
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async stop() {
    await this.kill();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

let etcd;
let cluster;

before(async () => {
  etcd = await new Etcd().start();
  cluster = await Cluster.start({ etcd: [etcd.url] });
});

after(async () => {
  await cluster?.stop();
  await etcd?.stop();
});

test("nodes find each other through etcd", async () => {
  for (const name of cluster.names) {
    const shown = command("cluster", "status", cluster.nodes[name].url);
    assert.equal(shown.code, 0, shown.stdout);
    assert.match(shown.stdout, /membership etcd/);
  }
});

test("kill -9 of each node in turn, and its restart under the same name, go unnoticed", async (t) => {
  for (const lost of cluster.names) {
    const survivors = cluster.names.filter((name) => name !== lost);
    const load = new Load(clientsOf(cluster, survivors), { lanes: 12, models: ["assistant", "far"] });
    await load.more(50);
    const began = Date.now();
    await Promise.all([...survivors.map((name) => cluster.detects(name, lost)), cluster.kill(lost)]);
    const detected = Date.now() - began;
    // The lease of a node that died runs out first: 5 s, and etcd looks every half second.
    await cluster.settled(survivors, 8000);
    t.diagnostic(`${lost}: detected after ${detected} ms, out of the view after ${Date.now() - began} ms`);
    await cluster.begin(lost);
    await cluster.settled();
    await load.more(50);
    await load.stop({ broken: true });
  }
});

test("etcd may be gone for less than a lease: nothing is lost and nobody leaves", async () => {
  const load = new Load(clientsOf(cluster, cluster.names), { lanes: 12, models: ["assistant", "far"] });
  await load.more(50);
  const members = (await cluster.view("a")).view.members;
  await etcd.kill();
  await load.more(50);
  await pause(2000);
  await etcd.start();
  await load.more(50);
  await cluster.settled();
  const after = (await cluster.view("a")).view.members;
  assert.deepEqual(after.map((member) => member.incarnation), members.map((member) => member.incarnation));
  await load.stop();
});

test("after an outage of etcd longer than a lease the nodes register again", async () => {
  const load = new Load(clientsOf(cluster, cluster.names), { lanes: 12 });
  await load.more(20);
  await etcd.kill();
  await pause(8000);
  // What each node can do by itself goes on meanwhile.
  await load.more(20);
  await etcd.start();
  await cluster.settled(cluster.names, 15000);
  await load.more(20);
  await load.stop();
});
