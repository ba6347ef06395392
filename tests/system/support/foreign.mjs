// The foreign agent of examples/ as a child process, and a foreign peer of the test's own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { eventually, source } from "./node.mjs";

const folder = path.resolve(source, "examples/foreign-agent");

/// A file of the example's lib/.
export const load = (name) => import(pathToFileURL(path.join(folder, "lib", name)));

const { Link } = await load("link.mjs");
const { decodeEnvelope, encodeEnvelope, kind } = await load("envelope.mjs");
const { spoken } = await load("messages.mjs");

export const seedsOf = (cluster, names = cluster.names) =>
  names.map((name) => ({ name, address: cluster.listenAddress(name) }));

export class ForeignAgent {
  /// `seeds`: names of the nodes it is told of. Returns when it has a session with every node.
  static async start(cluster, { name = "foreign", seeds = ["a"], args = [], env = {} } = {}) {
    const agent = ForeignAgent.begin(cluster, { name, seeds, args, env });
    try {
      for (const node of cluster.up()) await agent.says(new RegExp(`^up ${node} `), 10000);
    } catch (error) {
      await agent.kill();
      throw error;
    }
    agent.address = agent.find(/^listening (.+)$/)[0][1];
    return agent;
  }

  /// Returns at once.
  static begin(cluster, { name = "foreign", seeds = ["a"], args = [], env = {} } = {}) {
    const agent = new ForeignAgent();
    const told = seedsOf(cluster, seeds).flatMap((seed) => ["--seed", `${seed.name}=${seed.address}`]);
    agent.name = name;
    agent.lines = [];
    agent.stderr = "";
    agent.child = spawn(process.execPath,
                        [path.join(folder, "index.mjs"), "--cluster", "hive", "--name", name, ...told, ...args],
                        { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    let rest = "";
    agent.child.stdout.on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      agent.lines.push(...lines);
    });
    agent.child.stderr.on("data", (text) => (agent.stderr += text));
    agent.exited = new Promise((done) => agent.child.on("exit", (code, signal) => done({ code, signal })));
    return agent;
  }

  /// Every line it has said that matches, from line number `from` on.
  find(pattern, from = 0) {
    return this.lines.slice(from).map((line) => pattern.exec(line)).filter(Boolean);
  }

  /// Until it says so.
  async says(pattern, ms = 5000, from = 0) {
    try {
      return (await eventually(`the agent says ${pattern}`, () => this.find(pattern, from).at(0), ms));
    } catch (error) {
      throw new Error(`${error.message}\n${this.lines.slice(-20).join("\n")}\n${this.stderr}`);
    }
  }

  /// What it says from now on.
  get mark() {
    return this.lines.length;
  }

  async stop() {
    this.child.kill("SIGTERM");
    const { code } = await this.exited;
    return code;
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/// A peer that sends envelopes of any shape and sees what comes back.
export class Stranger {
  /// Returns when it has a session with every seed.
  static async join(seeds) {
    const stranger = new Stranger();
    stranger.heard = [];
    stranger.sessions = new Map();
    stranger.correlation = 0n;
    stranger.link = new Link({ cluster: "hive", node: "stranger", bind: "tcp://127.0.0.1:*", seeds, speaks: spoken });
    stranger.link.on("up", (session) => stranger.sessions.set(session.node, session));
    stranger.link.on("message", (session, bytes) => stranger.heard.push(decodeEnvelope(bytes)));
    await stranger.link.start();
    for (const { name } of seeds) await eventually(`a session with ${name}`, () => stranger.sessions.has(name));
    return stranger;
  }

  /// Sends a request; gives its correlation.
  request(node, fields) {
    const correlation = (this.correlation += 1n);
    this.say(node, { kind: kind.request, correlation, context: {}, credit: 65536, ...fields });
    return correlation;
  }

  say(node, { name = "", ...fields }) {
    const session = this.sessions.get(node);
    const target = { incarnation: session.hello.incarnation, name };
    assert.ok(this.link.send(session, encodeEnvelope({ ...fields, target })));
  }

  /// What came for this correlation so far.
  answers(correlation) {
    return this.heard.filter((each) => each.correlation === correlation && each.kind !== kind.send);
  }

  /// Until its one answer of this kind has come.
  answer(correlation, wanted) {
    return eventually(`an answer of kind ${wanted}`,
                      () => this.answers(correlation).find((each) => each.kind === wanted));
  }

  stop() {
    return this.link.stop();
  }
}
