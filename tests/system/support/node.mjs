// Starts the real binary as a user would, and stops it.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export const binary = process.env.SKEP_BINARY ?? "build/release/skep";
export const source = process.env.SKEP_SOURCE_DIR ?? process.cwd();

/// Resolves once `done()` is true; rejects after `ms` with what was waited for.
export async function eventually(what, done, ms = 5000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await done();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`did not come to be within ${ms} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 5));
  }
}

/// Ports that nobody has at the moment, all different.
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise((done) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => done(server));
  })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/// Nodes that run, for a test that fails before it stops its own.
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class SkepNode {
  /// `config`: a file, or the text of one. `prefix`: a command to start it with.
  static async start(config, { sets = [], env = {}, listen = "127.0.0.1:0", prefix = [] } = {}) {
    const node = new SkepNode();
    node.folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-test-"));
    let file = config;
    if (config.includes("\n")) {
      file = path.join(node.folder, "node.toml");
      fs.writeFileSync(file, config);
    }
    const ready = path.join(node.folder, "ready");
    const all = [...(process.env.SKEP_SYSTEM_SET ?? "").split(";").filter(Boolean), ...sets].flatMap((set) => ["--set", set]);
    node.stderr = "";
    const [program, ...args] = [...prefix, binary, "run", file, "--listen", listen, "--ready-file", ready, ...all];
    node.child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    node.child.stderr.on("data", (text) => (node.stderr += text));
    running.add(node.child);
    node.exited = new Promise((done) => node.child.on("exit", (code, signal) => {
      running.delete(node.child);
      done({ code, signal });
    }));
    try {
      await eventually("the node is ready", () => {
        if (node.child.exitCode !== null) throw new Error("the node ended: " + node.stderr);
        return fs.existsSync(ready);
      }, 10000);
    } catch (error) {
      await node.kill();
      throw error;
    }
    [node.address, node.operations] = fs.readFileSync(ready, "utf8").trim().split("\n");
    node.url = `http://${node.address}`;
    return node;
  }

  /// SIGTERM; gives the exit code.
  async stop() {
    this.child.kill("SIGTERM");
    const { code } = await this.exited;
    fs.rmSync(this.folder, { recursive: true, force: true });
    return code;
  }

  /// SIGKILL; returns when it is gone.
  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  chat(model, text, extra = {}, headers = {}) {
    return fetch(`${this.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model, messages: [{ role: "user", content: text }], ...extra }),
    });
  }

  async metrics() {
    const answer = await fetch(`${this.url}/metrics`, { headers: { accept: "application/json" } });
    return answer.json();
  }

  /// The sum over a metric's series whose labels contain `labels`.
  async metric(name, labels = {}) {
    const all = await this.metrics();
    return (all[name]?.series ?? [])
      .filter((series) => Object.entries(labels).every(([key, value]) => series.labels[key] === value))
      .reduce((sum, series) => sum + series.value, 0);
  }

  residentMb() {
    const text = fs.readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(text)[1]) / 1024;
  }
}

/// `skep ...` to its end.
export function command(...args) {
  const done = spawnSync(binary, args, { encoding: "utf8", timeout: 20000 });
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

/// One provider "up" at `url`, with the agent "helper" over it and plain model names passed on.
export function upstreamConfig(url, extra = "") {
  return `
[gateway]
default_provider = "up"
[provider.up]
kind = "openai"
base_urls = ["${url}"]
attempts_max = 1
[provider.up.breaker]
failures_max = 1000
failure_rate_max = 1.0
rate_samples_min = 1000000
[agent.helper]
instructions = "Be brief."
models = ["up/echo"]
${extra}`;
}
