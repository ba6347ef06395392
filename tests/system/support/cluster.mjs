// Several real nodes that make a cluster, clients that load them, and what they say about each other.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import OpenAI from "openai";

import { eventually, freePorts, SkepNode } from "./node.mjs";

/// Every slot has an owner in a whole view.
export const slots = 1024;

export const pause = (ms) => new Promise((next) => setTimeout(next, ms));

/// Answers slowly enough that something is always under way.
const work = `
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 30
tokens_per_s = 400
tokens_min = 10
tokens_max = 20
[agent.assistant]
models = ["sim/small"]
cache = "all"
`;

/// Served by all but the first node, never from the cache: what the first is asked crosses a link.
const far = `
[agent.far]
models = ["sim/small"]
cache = "off"
`;

export class Cluster {
  /// Options: names; per name `extra(name)` (more TOML), `section(name)` (more lines for [cluster]),
  /// `advertised` ({name: "tcp://…"} where others reach it, instead of its own address),
  /// `hosts` ({name: address}), `start(name)` (options for SkepNode.start), `etcd` (endpoints).
  static async make(options = {}) {
    const all = new Cluster();
    Object.assign(all, { names: ["a", "b", "c"], extra: () => "", section: () => "", advertised: {},
                         hosts: {}, start: () => ({}), etcd: null, nodes: {}, ports: {} }, options);
    all.folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-cluster-test-"));
    const ports = await freePorts(all.names.length);
    all.names.forEach((name, n) => (all.ports[name] ??= ports[n]));
    return all;
  }

  /// Made, started and settled.
  static async start(options = {}) {
    const all = await Cluster.make(options);
    try {
      await Promise.all(all.names.map((name) => all.begin(name)));
      await all.settled();
    } catch (error) {
      await all.stop();
      throw error;
    }
    return all;
  }

  host(name) {
    return this.hosts[name] ?? "127.0.0.1";
  }

  listenAddress(name) {
    return `tcp://${this.host(name)}:${this.ports[name]}`;
  }

  membership(name) {
    if (this.etcd) return `membership = "etcd"\n[cluster.etcd]\nendpoints = ${JSON.stringify(this.etcd)}\nttl_s = 5`;
    const seeds = this.names.map((each) => `${each}=${this.advertised[each] ?? this.listenAddress(each)}`);
    return `seeds = ${JSON.stringify(seeds)}`;
  }

  config(name) {
    return `
[node]
name = "${name}"
drain_timeout_ms = 10000
[cluster]
name = "hive"
listen = "${this.listenAddress(name)}"
${this.advertised[name] ? `advertise = "${this.advertised[name]}"` : ""}
data_dir = "${path.join(this.folder, "data")}"
${this.hosts[name] ? "plain = true" : ""}
${this.section(name)}
${this.membership(name)}
${work}
${name === this.names[0] ? "" : far}
${this.extra(name)}`;
  }

  /// Writes the node's file and says where.
  file(name) {
    const file = path.join(this.folder, `${name}.toml`);
    fs.writeFileSync(file, this.config(name));
    return file;
  }

  /// Starts a node, also again under the same name.
  async begin(name) {
    this.nodes[name] = await SkepNode.start(this.file(name), this.start(name));
    return this.nodes[name];
  }

  /// kill -9.
  async kill(name) {
    const node = this.nodes[name];
    delete this.nodes[name];
    await node.kill();
  }

  /// SIGTERM; the exit code.
  async end(name) {
    const node = this.nodes[name];
    delete this.nodes[name];
    return node.stop();
  }

  up() {
    return Object.keys(this.nodes).sort();
  }

  async view(name) {
    const answer = await fetch(`${this.nodes[name].url}/cluster`, { signal: AbortSignal.timeout(2000) });
    assert.equal(answer.status, 200);
    return answer.json();
  }

  async ready(name) {
    return (await fetch(`${this.nodes[name].url}/ready`, { signal: AbortSignal.timeout(2000) })).json();
  }

  /// Whether `name` sees exactly `members`, in force, with an owner for every slot.
  async serves(name, members) {
    const seen = await this.view(name);
    const listed = seen.view.members.map((member) => member.name).sort();
    const owned = seen.view.members.reduce((sum, member) => sum + member.slots, 0);
    const heard = seen.peers.filter((peer) => peer.up).map((peer) => peer.name);
    return seen.quorum && owned === slots && listed.join() === [...members].sort().join()
      && members.every((member) => member === name || heard.includes(member));
  }

  /// Until all of `names` see exactly each other.
  async settled(names = this.up(), ms = 10000) {
    await Promise.all(names.map((name) => this.#await(`${name} sees ${names.join()}`, name,
                                                      () => this.serves(name, names), ms)));
  }

  /// Until `name` no longer has a link to `lost`.
  detects(name, lost, ms = 3000) {
    return this.#await(`${name} detects that ${lost} is gone`, name, async () =>
      !(await this.view(name)).peers.some((peer) => peer.name === lost && peer.up), ms);
  }

  /// Detection within 3 s and full service within 5 s of now, seen by every one of `survivors`.
  async recovers(lost, survivors) {
    const began = Date.now();
    await Promise.all(survivors.map((name) => this.detects(name, lost)));
    const detected = Date.now() - began;
    await this.settled(survivors, 5000 - detected);
    return { detected, whole: Date.now() - began };
  }

  async #await(what, name, done, ms) {
    try {
      await eventually(what, done, ms);
    } catch (error) {
      const seen = await this.view(name).catch((why) => String(why));
      throw new Error(`${error.message}\n${JSON.stringify(seen, null, 1)}`);
    }
  }

  async stop() {
    Load.abandonAll();
    await Promise.all(this.up().map((name) => this.kill(name)));
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

const clients = new Map();

/// The official client for a node; it never repeats a request by itself.
export function clientOf(node) {
  if (!clients.has(node.url))
    clients.set(node.url, new OpenAI({ baseURL: `${node.url}/v1`, apiKey: "any", maxRetries: 0, timeout: 20000 }));
  return clients.get(node.url);
}

/// Clients that ask without a pause, whole answers and streams, every question a new one.
export class Load {
  answers = 0;
  static #all = new Set();
  /// What failed, but for `broken`.
  failures = [];
  /// Streams that failed after their first token.
  broken = [];
  #stopping = false;
  #number = 0;

  /// For the end of a test that failed: nobody asks any more.
  static abandonAll() {
    for (const load of Load.#all) load.#stopping = true;
  }

  /// `pick()` gives the node to ask next, or nothing for none at the moment.
  constructor(pick, { lanes = 8, models = ["assistant"], streams = true } = {}) {
    Load.#all.add(this);
    this.lanes = Array.from({ length: lanes }, (_, lane) => this.#lane(pick, lane, models, streams));
  }

  /// Ends when what runs is answered; fails when anything but begun streams failed.
  async stop({ broken = false } = {}) {
    this.#stopping = true;
    await Promise.all(this.lanes);
    Load.#all.delete(this);
    assert.deepEqual(this.failures.slice(0, 5), [], `${this.failures.length} requests failed`);
    if (!broken) assert.deepEqual(this.broken.slice(0, 5), [], `${this.broken.length} streams broke`);
    assert.ok(this.answers > 0, "somebody was answered");
    return this;
  }

  /// Until so many more were answered.
  async more(count, ms = 10000) {
    const before = this.answers;
    await eventually(`${count} more answers`, () => this.answers >= before + count, ms);
  }

  async #lane(pick, lane, models, streams) {
    while (!this.#stopping) {
      const node = pick(lane);
      if (!node) {
        await pause(10);
        continue;
      }
      const number = (this.#number += 1);
      const model = models[number % models.length];
      const stream = streams && number % 3 === 0;
      const state = { began: false };
      try {
        await (stream ? this.#stream : this.#whole)(node, model, `lane ${lane} question ${number}`, state);
        this.answers += 1;
      } catch (error) {
        const told = `${model} at ${node.url}${stream ? " (stream)" : ""}: ${error.status ?? ""} ${error.message}`;
        (state.began ? this.broken : this.failures).push(told);
      }
    }
  }

  async #whole(node, model, text) {
    const answer = await clientOf(node).chat.completions.create({ model, messages: [{ role: "user", content: text }] });
    assert.match(answer.choices[0].message.content, /^\[simulated\] /);
    assert.equal(answer.choices[0].finish_reason, "stop");
  }

  async #stream(node, model, text, state) {
    const stream = await clientOf(node).chat.completions.create(
      { model, stream: true, messages: [{ role: "user", content: text }] });
    let whole = "";
    let finish = null;
    for await (const chunk of stream) {
      whole += chunk.choices[0]?.delta.content ?? "";
      state.began = whole !== "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.match(whole, /^\[simulated\] /);
    assert.equal(finish, "stop");
  }
}

/// The clients of these nodes, in turn.
export function clientsOf(cluster, names) {
  return (lane) => cluster.nodes[names[lane % names.length]];
}
