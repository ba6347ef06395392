// A provider that fails as it is told: `skep simulate`, over real sockets.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { binary, eventually } from "./node.mjs";

export class Simulated {
  /// `sets`: --set arguments; `plan`: the text of a plan; `flavour`: a kind of server.
  static async start({ sets = [], plan = "", flavour = "" } = {}) {
    const simulated = new Simulated();
    simulated.folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-simulate-"));
    const ready = path.join(simulated.folder, "ready");
    const args = ["simulate", "--ready-file", ready, ...sets.flatMap((set) => ["--set", set])];
    if (flavour) args.push("--flavour", flavour);
    if (plan) {
      const file = path.join(simulated.folder, "plan.toml");
      fs.writeFileSync(file, plan);
      args.push("--plan", file);
    }
    simulated.stderr = "";
    simulated.child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
    // What a test that failed leaves behind must not keep its process, nor outlive it.
    simulated.child.unref();
    simulated.child.stderr.unref();
    process.once("exit", () => simulated.child.kill("SIGKILL"));
    simulated.child.stderr.on("data", (text) => (simulated.stderr += text));
    simulated.exited = new Promise((done) => simulated.child.on("exit", (code) => done(code)));
    try {
      await eventually("the simulated provider is ready", () => {
        if (simulated.child.exitCode !== null) throw new Error("it ended: " + simulated.stderr);
        return fs.existsSync(ready);
      }, 10000);
    } catch (error) {
      await simulated.kill();
      throw error;
    }
    simulated.url = `http://${fs.readFileSync(ready, "utf8").trim()}`;
    return simulated;
  }

  async #control(method, body) {
    const answer = await fetch(`${this.url}/simulate/faults`, { method, body: body && JSON.stringify(body) });
    const read = await answer.json();
    if (answer.status !== 200) throw new Error(JSON.stringify(read));
    return read;
  }

  /// From now on: a rule, or a list of rules. Gives the counters.
  fail(rules) {
    return this.#control("POST", rules);
  }

  /// From now on everything goes well.
  heal() {
    return this.#control("DELETE");
  }

  counters() {
    return this.#control("GET");
  }

  /// The last calls as they came, the newest at the end.
  async calls() {
    return (await (await fetch(`${this.url}/simulate/calls`)).json()).calls;
  }

  /// The newest call's body.
  async lastBody() {
    return (await this.calls()).at(-1).body;
  }

  /// SIGTERM; gives the exit code.
  async stop() {
    this.child.ref();
    this.child.kill("SIGTERM");
    const code = await this.exited;
    fs.rmSync(this.folder, { recursive: true, force: true });
    return code;
  }

  async kill() {
    this.child.ref();
    this.child.kill("SIGKILL");
    await this.exited;
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/// The kinds of provider there are with an API of their own.
export const kinds = ["openai", "anthropic"];

/// A node's configuration: the provider "up" of this kind, over it the agent "helper", which has
/// instructions, and plain model names passed on. `provider`: more lines for [provider.up].
export function providerConfig(kind, upstream, { gateway = "", provider = "", extra = "" } = {}) {
  return `
[log]
level = "error"
[gateway]
default_provider = "up"
${gateway}
[provider.up]
kind = "${kind}"
base_url = "${upstream.url}/v1"
api_key = "env.UP_KEY"
${provider}
[provider.up.breaker]
failures_max = 1000
failure_rate_max = 1.0
rate_samples_min = 1000000
[agent.helper]
instructions = "Be brief."
models = ["up/small"]
cache = "off"
${extra}`;
}

/// What a promise is rejected with.
export async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it should have failed");
}
