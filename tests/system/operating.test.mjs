// Running a node: what its log tells, signals, rotation, a dead terminal, and the commands of operators.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { binary, command, eventually, freePorts, SkepNode, source } from "./support/node.mjs";
import { Simulated } from "./support/simulate.mjs";
import { Upstream } from "./support/upstream.mjs";

const folder = () => fs.mkdtempSync(path.join(os.tmpdir(), "skep-operating-"));

/// A log's lines as objects.
const lines = (file) => fs.readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));

const withLog = (file, url, level = "info") => `
[log]
json = true
level = "${level}"
file = "${file}"
[gateway]
default_provider = "up"
[provider.up]
kind = "openai"
base_url = "${url}"
attempts_max = 1
[provider.up.breaker]
failures_max = 3
open_min_ms = 100
open_max_ms = 100
`;

test("a provider's outage is in the log at warn, once per event, and its end too", async () => {
  const here = folder();
  const file = path.join(here, "log");
  const up = await new Upstream().start();
  const node = await SkepNode.start(withLog(file, up.url));
  assert.equal((await node.chat("echo", "before")).status, 200);
  up.down = true;
  for (let n = 0; n < 8; n += 1) await (await node.chat("echo", `during ${n}`)).text();
  const opened = lines(file).filter((line) => line.msg === "circuit opened");
  assert.equal(opened.length, 1);
  assert.equal(opened[0].level, "warn");
  assert.equal(opened[0].name, "provider/up");
  assert.equal(opened[0].error, "provider_failed");
  up.down = false;
  await eventually("it answers again", async () => (await node.chat("echo", "after")).status === 200);
  await eventually("the log says so", () => lines(file).some((line) => line.msg === "circuit closed"));
  const failed = lines(file).filter((line) => line.msg === "request" && line.status >= 500);
  assert.equal(failed.length, failed.filter((line) => line.level === "warn").length);
  assert.equal(failed[0].model, "echo");
  assert.match(failed[0].reason, /it broke/);
  assert.equal(await node.stop(), 0);
  await up.stop();
  fs.rmSync(here, { recursive: true });
});

test("a log that was moved is opened again at SIGHUP and SIGUSR1, other signals do nothing", async () => {
  const here = folder();
  const file = path.join(here, "log");
  const up = await new Upstream().start();
  const node = await SkepNode.start(withLog(file, up.url));
  for (const [n, signal] of ["SIGHUP", "SIGUSR1"].entries()) {
    assert.equal((await node.chat("echo", `before ${n}`)).status, 200);
    await eventually("it is logged", () => lines(file).some((line) => line.msg === "request"));
    const old = `${file}.${n}`;
    fs.renameSync(file, old);
    node.child.kill(signal);
    await eventually("there is a new file", () => fs.existsSync(file) && lines(file).length > 0);
    const answer = await node.chat("echo", `after ${n}`);
    const id = answer.headers.get("x-request-id");
    await eventually("it is in the new one", () => lines(file).some((line) => line.request_id === id));
    assert.ok(lines(old).some((line) => line.msg === "request"));
  }
  for (const signal of ["SIGUSR2", "SIGALRM", "SIGPIPE", "SIGIO", "SIGVTALRM", "SIGPWR"]) node.child.kill(signal);
  assert.equal((await node.chat("echo", "still here")).status, 200);
  assert.equal(await node.stop(), 0);
  await up.stop();
  fs.rmSync(here, { recursive: true });
});

/// A node whose stdout and stderr nobody reads: both are one pipe that is full.
async function unread(config) {
  const here = folder();
  const file = path.join(here, "node.toml");
  fs.writeFileSync(file, config);
  const ready = path.join(here, "ready");
  const fifo = path.join(here, "pipe");
  assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
  const reader = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const writer = fs.openSync(fifo, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  assert.throws(() => { for (;;) fs.writeSync(writer, "x".repeat(4096)); }, { code: "EAGAIN" });
  fs.closeSync(writer);
  // Opened anew, so that it blocks as a terminal or a pipe of a shell does.
  const full = fs.openSync(fifo, fs.constants.O_WRONLY);
  const child = spawn(binary, ["run", file, "--listen", "127.0.0.1:0", "--ready-file", ready],
                      { stdio: ["ignore", full, full] });
  fs.closeSync(full);
  const exited = new Promise((done) => child.on("exit", (code, signal) => done({ code, signal })));
  await eventually("the node is ready", () => fs.existsSync(ready), 10000);
  return { child, exited, url: `http://${fs.readFileSync(ready, "utf8").trim()}`,
           end: () => { fs.closeSync(reader); fs.rmSync(here, { recursive: true }); } };
}

test("a stdout and a stderr that nobody reads keep a node neither from serving nor from ending", async () => {
  const node = await unread('[node]\ndrain_timeout_ms = 1000\n[provider.sim]\nkind = "simulated"\n');
  for (let n = 0; n < 200; n += 1) assert.equal((await fetch(`${node.url}/`)).status, 200);
  const began = Date.now();
  node.child.kill("SIGTERM");
  const end = await Promise.race([node.exited, new Promise((done) => setTimeout(done, 10000).unref())]);
  assert.deepEqual(end, { code: 0, signal: null });
  assert.ok(Date.now() - began < 8000);
  node.end();
});

test("check refuses what run refuses, and both warn of what is hardly meant", async () => {
  const here = folder();
  const file = path.join(here, "c.toml");
  const check = (text) => {
    fs.writeFileSync(file, text);
    return command("check", file);
  };
  for (const [text, why] of [
    ['[agent.a]\nmodels = ["nobody/x"]\n', /c\.toml:2:1: agent a asks provider "nobody"/],
    ['[cache]\ndictionaries = ["/nowhere.dict"]\n', /c\.toml:2:1: .*nowhere\.dict/],
    [`[log]\nfile = "${here}"\n`, /c\.toml:2:1: .* is a folder; name a file/],
    [`[store]\npath = "${here}"\n`, /c\.toml:2:1: .* is a folder; name a file/],
    ['[provider.p]\nkind = "openai"\nbase_url = "http://user:geheim@host/v1"\n', /c\.toml:3:1: .*api_key/],
    ['[redis]\nurl = "redis://:geheim@host"\n', /c\.toml:2:1: .*env\.NAME/],
  ]) {
    const done = check(text);
    assert.equal(done.code, 2, done.stderr);
    assert.match(done.stderr, why);
    assert.doesNotMatch(done.stderr, /geheim|\n\n/);
  }
  const doubtful = '[gateway]\nlisten = "0.0.0.0:0"\ndefault_provider = "nobody"\n';
  const warned = check(doubtful);
  assert.equal(warned.code, 0);
  assert.match(warned.stderr, /c\.toml:3:1: warning: no \[provider\.nobody\]/);
  assert.match(warned.stderr, /c\.toml:2:1: warning: listens at 0\.0\.0\.0 without any/);
  const node = await SkepNode.start(file, { listen: "0.0.0.0:0" });
  await eventually("both are in the log", () => /no \[provider\.nobody\]/.test(node.stderr)
    && /listens at 0\.0\.0\.0 without any/.test(node.stderr));
  assert.equal(await node.stop(), 0);
  const listen = command("run", file, "--listen", "18081");
  assert.equal(listen.code, 2);
  assert.match(listen.stderr, /^skep run: --listen must read ADDRESS:PORT/);
  fs.rmSync(here, { recursive: true });
});

test("status shows figures, and fails when it is refused or there is no skep", async () => {
  const keyed = await SkepNode.start('[provider.sim]\nkind = "simulated"\n[[gateway.key]]\nkey = "env.TEST_KEY"\nrole = "admin"\n',
                                     { env: { TEST_KEY: "sesame" } });
  const status = (key, target) => spawnSync(binary, ["status", "--target", target ?? keyed.address],
                                            { encoding: "utf8", env: { ...process.env, SKEP_API_KEY: key } });
  const refused = status("");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /status 401[^]*SKEP_API_KEY/);
  const shown = status("sesame");
  assert.equal(shown.status, 0, shown.stderr);
  assert.match(shown.stdout, /^skep at http:\/\/127\.0\.0\.1:\d+: ready \(skep \d+\.\d+\.\d+\)\n/);
  for (const row of ["up", "requests", "latency", "errors"]) assert.match(shown.stdout, new RegExp(`\n  ${row} `));
  assert.doesNotMatch(shown.stdout, /circuit/);
  assert.equal(await keyed.stop(), 0);
  assert.match(status("", "127.0.0.1:99999").stderr, /this is no address/); // tidy: allow port, one that is none
  const other = await Simulated.start();
  assert.match(status("", other.url).stderr, /not as a skep node does/);
  await other.stop();
  assert.match(command("--version").stdout, /^skep \d+\.\d+\.\d+\n$/);
  assert.match(command("help").stdout, /SKEP_API_KEY/);
  assert.equal(command().code, 2);
});

test("cluster up gives each node the keys that keygen made for it", async () => {
  const here = folder();
  const names = ["a", "b", "c"];
  const keys = path.join(here, "keys");
  const made = command("cluster", "keygen", ...names, "--dir", keys);
  assert.equal(made.code, 0, made.stderr);
  const listed = fs.readFileSync(path.join(keys, "public_keys.toml"), "utf8");
  const ports = await freePorts(names.length);
  const seeds = JSON.stringify(names.map((name, n) => `${name}=tcp://127.0.0.1:${ports[n]}`));
  for (const [n, name] of names.entries())
    fs.writeFileSync(path.join(here, `${name}.toml`), `
[node]
name = "${name}"
[gateway]
listen = "127.0.0.1:0"
[cluster]
name = "hive"
listen = "tcp://127.0.0.1:${ports[n]}"
data_dir = "${path.join(here, "data")}"
seeds = ${seeds}
secret_key = "env.SKEP_CLUSTER_SECRET_KEY"
${listed}
[provider.sim]
kind = "simulated"
`);
  const child = spawn(binary, ["cluster", "up", here, "--keys", keys],
                      { env: { ...process.env, SKEP_CLUSTER_SECRET_KEY: "" }, stdio: ["ignore", "pipe", "pipe"] });
  let told = "";
  child.stdout.on("data", (text) => (told += text));
  child.stderr.on("data", (text) => (told += text));
  const exited = new Promise((done) => child.on("exit", (code) => done(code)));
  try {
    const first = await eventually("a is ready", () => /cluster: a ready on (?:http:\/\/)?(\S+) /.exec(told)?.[1], 10000);
    await eventually("all three are in one view", async () => {
      const answer = await fetch(`http://${first}/cluster`).catch(() => null);
      return answer?.status === 200 && (await answer.json()).view?.members?.length === 3;
    }, 15000);
  } catch (error) {
    error.message += `\n${told}`;
    throw error;
  } finally {
    child.kill("SIGHUP"); // As a terminal that is closed: they drain and end.
  }
  assert.equal(await exited, 0, told);
  fs.rmSync(here, { recursive: true });
});

test("an expectation of which nothing was measured is not met", async () => {
  const here = folder();
  const file = path.join(here, "w.toml");
  fs.writeFileSync(file, '[workload]\n[[phase]]\nname = "p"\nconcurrency = 1\nduration_ms = 50\nexpect = ["p99_ms < 2000"]\n');
  const done = command("bench", file, "--target", `127.0.0.1:${(await freePorts(1))[0]}`);
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stdout, /FAILED p: p99_ms < 2000 \(nothing was measured\)/);
  fs.rmSync(here, { recursive: true });
});

test("the shipped configurations stand without a warning", () => {
  for (const name of ["dev", "cluster-3/a"]) {
    const done = command("check", path.join(source, "configs", `${name}.toml`));
    assert.equal(done.code, 0, done.stderr);
    assert.equal(done.stderr, "");
  }
});
