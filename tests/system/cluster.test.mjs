// Three real nodes on loopback: whatever happens to one of them, clients of the others do not notice.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { Cluster, Load, clientOf, clientsOf, pause } from "./support/cluster.mjs";
import { binary, command, eventually, freePorts, SkepNode, source } from "./support/node.mjs";
import { TcpProxy } from "./support/tcp_proxy.mjs";

const others = (cluster, name) => cluster.names.filter((each) => each !== name);

/// A test with a cluster of its own, which is gone at the end.
function clustered(name, options, body) {
  test(name, async (t) => {
    const cluster = await Cluster.start(options);
    try {
      await body(cluster, t);
    } finally {
      await cluster.stop();
    }
  });
}

clustered("every node serves the agents of all, and lists them",
          { extra: (name) => (name === "c" ? '[agent.soloist]\nmodels = ["sim/small"]\n' : "") },
          async (cluster) => {
  for (const name of cluster.names) {
    const client = clientOf(cluster.nodes[name]);
    for (const model of ["assistant", "far", "soloist"]) {
      const messages = [{ role: "user", content: `${model} through ${name}` }];
      const whole = await client.chat.completions.create({ model, messages });
      assert.match(whole.choices[0].message.content, /^\[simulated\] /);
      let text = "";
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
        text += chunk.choices[0]?.delta.content ?? "";
      assert.match(text, /^\[simulated\] /);
    }
    const models = (await client.models.list()).data.map((model) => model.id);
    for (const model of ["assistant", "far", "soloist"]) assert.ok(models.includes(model), `${name} lists ${models}`);
  }
  const shown = command("cluster", "status", cluster.nodes.a.url);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^cluster hive, membership static, seen by a/);
  assert.match(shown.stdout, /^b +up +\d+ /m);
});

clustered("kill -9 of each node in turn, and its restart under the same name, go unnoticed",
          {}, async (cluster, t) => {
  for (const lost of cluster.names) {
    const survivors = others(cluster, lost);
    const load = new Load(clientsOf(cluster, survivors), { lanes: 12, models: ["assistant", "far"] });
    await load.more(50);
    const [took] = await Promise.all([cluster.recovers(lost, survivors), cluster.kill(lost)]);
    t.diagnostic(`${lost}: detected after ${took.detected} ms, whole after ${took.whole} ms`);
    await load.more(50);
    const before = (await cluster.view(survivors[0])).view.number;
    await cluster.begin(lost);
    await cluster.settled();
    assert.ok((await cluster.view(lost)).view.number > before);
    await load.more(50);
    await load.stop({ broken: true });
  }
});

clustered("a node that is frozen for five seconds is left out and comes back", {}, async (cluster, t) => {
  const load = new Load(clientsOf(cluster, ["a", "c"]), { lanes: 12, models: ["assistant", "far"] });
  await load.more(50);
  cluster.nodes.b.child.kill("SIGSTOP");
  const began = Date.now();
  const took = await cluster.recovers("b", ["a", "c"]);
  t.diagnostic(`detected after ${took.detected} ms, whole after ${took.whole} ms`);
  await pause(Math.max(0, 5000 - (Date.now() - began)));
  cluster.nodes.b.child.kill("SIGCONT");
  await cluster.settled();
  const back = new Load(clientsOf(cluster, ["b"]));
  await back.more(20);
  await back.stop();
  await load.stop({ broken: true });
});

clustered("all nodes are restarted one after the other under load", {}, async (cluster) => {
  let away = null;
  const load = new Load((lane) => {
    const rest = others(cluster, away);
    return cluster.nodes[rest[lane % rest.length]];
  }, { lanes: 12, models: ["assistant", "far"] });
  for (const name of cluster.names) {
    await load.more(30);
    away = name;
    // Its last clients are answered before it ends.
    assert.equal(await cluster.end(name), 0);
    await cluster.settled(others(cluster, name), 5000);
    await cluster.begin(name);
    await cluster.settled();
    away = null;
  }
  await load.more(30);
  await load.stop();
});

clustered("a drained node leaves in good order", {}, async (cluster) => {
  const load = new Load(clientsOf(cluster, ["a", "c"]), { lanes: 12, models: ["assistant", "far"] });
  await load.more(50);
  const drained = spawn(binary, ["cluster", "drain", "b", "--url", cluster.nodes.a.url],
                        { stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  drained.stdout.on("data", (text) => (told += text));
  const code = await new Promise((done) => drained.on("exit", done));
  assert.equal(code, 0, told);
  assert.match(told, /^b: (left|it no longer answers)/m);
  await eventually("both see each other only", async () =>
    (await Promise.all(["a", "c"].map((name) => cluster.serves(name, ["a", "c"])))).every(Boolean));
  await load.more(50);
  await load.stop();
  assert.equal(await cluster.end("b"), 0);
  const nobody = command("cluster", "drain", "nobody", "--url", cluster.nodes.a.url);
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /nobody/);
});

/// Everything a node says about being refused: its log, its /cluster, or why it did not start.
async function complaints(config, pattern) {
  let stranger;
  try {
    stranger = await SkepNode.start(config);
  } catch (error) {
    assert.match(error.message, pattern);
    return null;
  }
  try {
    await eventually(`it says ${pattern}`, async () => {
      const seen = await (await fetch(`${stranger.url}/cluster`)).json();
      return pattern.test(stranger.stderr) && seen.refusals.some((text) => pattern.test(text));
    });
    const { status } = await (await fetch(`${stranger.url}/ready`)).json();
    assert.match(status, /^degraded: /);
    return status;
  } finally {
    await stranger.kill();
  }
}

clustered("a second node of a name is refused, and the first one serves on", {}, async (cluster) => {
  const load = new Load(clientsOf(cluster, cluster.names), { models: ["assistant", "far"] });
  const first = await cluster.view("b");
  const [port] = await freePorts(1);
  const twin = cluster.config("b").replace(cluster.listenAddress("b"), `tcp://127.0.0.1:${port}`)
    .replace(path.join(cluster.folder, "data"), path.join(cluster.folder, "twin"));
  await complaints(twin, /has the name b/);
  await cluster.settled();
  assert.equal((await cluster.view("b")).incarnation, first.incarnation);
  await load.stop();
});

test("a node with other [cluster] options is refused, and told which", async () => {
  const cluster = await Cluster.make({ section: (name) => (name === "c" ? "replicas = 1" : "") });
  try {
    await Promise.all(["a", "b"].map((name) => cluster.begin(name)));
    await cluster.settled(["a", "b"]);
    await complaints(cluster.config("c"), /\[cluster\] options or node\.identity_secret differ/);
    await cluster.settled(["a", "b"]);
    assert.ok((await cluster.view("a")).refusals.some((text) => /node c .*options .*differ/.test(text)));
  } finally {
    await cluster.stop();
  }
});

clustered("a minority says that it is degraded, and still answers", {}, async (cluster) => {
  await Promise.all([cluster.kill("b"), cluster.kill("c")]);
  await eventually("a says so", async () => /^degraded: /.test((await cluster.ready("a")).status));
  assert.equal((await cluster.view("a")).quorum, false);
  const load = new Load(clientsOf(cluster, ["a"]));
  await load.more(30);
  await load.stop();
  const shown = command("cluster", "status", cluster.nodes.a.url);
  assert.equal(shown.code, 1);
  assert.match(shown.stdout, /NOT IN FORCE/);
  await cluster.begin("c");
  await cluster.settled(["a", "c"]);
  assert.equal((await cluster.ready("a")).status, "ready");
});

clustered("an answer cached through one node is a hit through another, also after a death", {}, async (cluster) => {
  const ask = async (name, n) => {
    const answer = await cluster.nodes[name].chat("assistant", `question ${n}`);
    assert.equal(answer.status, 200);
    return { how: answer.headers.get("cache-status"), text: (await answer.json()).choices[0].message.content };
  };
  const numbers = Array.from({ length: 40 }, (_, n) => n);
  const first = await Promise.all(numbers.map((n) => ask("a", n)));
  for (const { how } of first) assert.match(how, /fwd=miss/);
  // Stored just after they were answered.
  await eventually("all are hits through b", async () =>
    (await Promise.all(numbers.map((n) => ask("b", n)))).every(({ how }) => /; hit/.test(how)));
  // Cleared through one node, forgotten by all, near-caches included.
  assert.equal((await fetch(`${cluster.nodes.c.url}/api/v1/performance/cache/clear`, { method: "POST" })).status, 200);
  for (const { how } of await Promise.all(numbers.map((n) => ask("b", n)))) assert.match(how, /fwd=miss/);
  await eventually("all are hits through a", async () =>
    (await Promise.all(numbers.map((n) => ask("a", n)))).every(({ how }) => /; hit/.test(how)));
  // With 40 keys each node owns some; what b and only b knew would be gone.
  await Promise.all([cluster.recovers("b", ["a", "c"]), cluster.kill("b")]);
  const after = await Promise.all(numbers.map((n) => ask("c", n)));
  after.forEach(({ how, text }, n) => {
    assert.match(how, /; hit/, `question ${n}`);
    assert.equal(text, first[n].text);
  });
});

test("with keys of `skep cluster keygen` nodes let in those whose key is listed, and nobody else", async () => {
  const cluster = await Cluster.make();
  const keys = path.join(cluster.folder, "keys");
  const make = (...names) => {
    const made = command("cluster", "keygen", ...names, "--dir", keys);
    assert.equal(made.code, 0, made.stderr);
  };
  const secret = (name) => /'(.{40})'/.exec(fs.readFileSync(path.join(keys, `${name}.env`), "utf8"))[1];
  make(...cluster.names);
  const listed = fs.readFileSync(path.join(keys, "public_keys.toml"), "utf8");
  // A key nobody has in his list; c uses it first.
  make("stranger");
  let key = "stranger";
  cluster.section = () => `secret_key = "env.SKEP_CLUSTER_SECRET_KEY"\n${listed}`;
  cluster.start = (name) => ({ env: { SKEP_CLUSTER_SECRET_KEY: secret(name === "c" ? key : name) } });
  try {
    await Promise.all(["a", "b"].map((name) => cluster.begin(name)));
    await cluster.settled(["a", "b"]);
    const refused = await cluster.begin("c").then(() => null, (error) => error);
    if (refused) {
      assert.match(refused.message, /key/);
    } else {
      await pause(1500);
      assert.equal((await cluster.view("c")).quorum, false);
      await cluster.kill("c");
    }
    assert.ok(await cluster.serves("a", ["a", "b"]));
    key = "c";
    await cluster.begin("c");
    await cluster.settled();
    const load = new Load(clientsOf(cluster, cluster.names), { models: ["far", "assistant"] });
    await load.more(100);
    await load.stop();
  } finally {
    await cluster.stop();
  }
});

/// A cluster in which everybody reaches b through a proxy; clients of a, whose agent "far" is remote.
function mistreated(name, body) {
  test(name, async (t) => {
    const cluster = await Cluster.make();
    const proxy = await TcpProxy.start(cluster.ports.b);
    cluster.advertised = { b: `tcp://127.0.0.1:${proxy.port}` };
    try {
      await Promise.all(cluster.names.map((each) => cluster.begin(each)));
      await cluster.settled();
      const load = new Load(clientsOf(cluster, ["a", "c"]), { lanes: 12, models: ["far", "assistant"] });
      await load.more(50);
      await body({ cluster, proxy, load, t });
    } finally {
      await cluster.stop();
      await proxy.stop();
    }
  });
}

mistreated("a slow network is only slow", async ({ cluster, proxy, load }) => {
  const before = (await cluster.view("a")).view.number;
  proxy.delay = 50;
  proxy.jitter = 100;
  await load.more(300, 20000);
  const rtt = (await cluster.view("a")).peers.find((peer) => peer.name === "b").rtt_ms;
  assert.ok(rtt >= 50, `${rtt} ms`);
  assert.equal((await cluster.view("a")).view.number, before, "nobody was accused");
  await load.stop();
});

mistreated("a network that stalls is waited for, then left alone, then used again",
           async ({ cluster, proxy, load }) => {
  const before = (await cluster.view("a")).view.number;
  proxy.stall();
  await pause(300);
  proxy.resume();
  await load.more(100);
  assert.equal((await cluster.view("a")).view.number, before, "a short stall is none");
  // Only what goes to b stalls. First b misses the others and falls silent, then they miss b: two
  // times the detection, and still full service within 5 s.
  proxy.stall();
  await cluster.settled(["a", "c"], 5000);
  await load.more(100);
  proxy.resume();
  await cluster.settled();
  await load.stop({ broken: true });
});

mistreated("connections that are reset over and over cost no answer", async ({ cluster, proxy, load }) => {
  for (let n = 0; n < 8; n += 1) {
    assert.ok(await eventually("there is something to cut", () => proxy.reset()));
    await load.more(20);
  }
  await cluster.settled();
  await load.more(100);
  await load.stop({ broken: true });
});

mistreated("bytes that are spoilt on the way harm nothing that comes later",
           async ({ cluster, proxy, load }) => {
  proxy.corruption = 0.02;
  await eventually("enough is spoilt", () => proxy.corrupted >= 20, 20000);
  proxy.corruption = 0;
  // TCP would have refused such bytes; an answer may have been among them.
  await load.stop({ broken: true }).catch((why) => assert.match(why.message, /requests failed/));
  await cluster.settled();
  for (const name of cluster.names) assert.equal(cluster.nodes[name].child.exitCode, null);
  const after = new Load(clientsOf(cluster, cluster.names), { lanes: 12, models: ["far", "assistant"] });
  await after.more(200);
  await after.stop();
});

test("the shipped clusters are well-formed, each node by itself, too", () => {
  for (const folder of ["cluster-3", "cluster-etcd"])
    for (const name of ["a", "b", "c"]) {
      const done = command("check", path.join(source, "configs", folder, `${name}.toml`));
      assert.equal(done.code, 0, done.stderr);
    }
});

test("`skep cluster up` starts all, and a kill during the failover workload costs no request", async (t) => {
  const cluster = await Cluster.make();
  const ports = await freePorts(3);
  cluster.extra = (name) => `[gateway]\nlisten = "127.0.0.1:${ports[cluster.names.indexOf(name)]}"\n`;
  for (const name of cluster.names) cluster.file(name);
  const up = spawn(binary, ["cluster", "up", cluster.folder, "--set", "log.level=warn"],
                   { stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  up.stdout.on("data", (text) => (told += text));
  const ended = new Promise((done) => up.on("exit", done));
  try {
    await eventually("all are up", () => /^cluster: up, 3 nodes: /m.test(told), 10000);
    const pid = (name) => Number(new RegExp(`^cluster: ${name} ready on .* \\(pid (\\d+)\\)$`, "m").exec(told)[1]);
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    await eventually("they see each other", () => urls.every((url) =>
      command("cluster", "status", url).stdout.includes("view") && command("cluster", "status", url).code === 0));
    const bench = spawn(binary, ["bench", path.join(source, "examples/workloads/failover.toml"),
                                 "--target", urls.join(), "--scale", "0.3"], { stdio: ["ignore", "pipe", "inherit"] });
    let report = "";
    bench.stdout.on("data", (text) => (report += text));
    const done = new Promise((told) => bench.on("exit", told));
    await pause(1500);
    process.kill(pid("b"), "SIGKILL");
    assert.equal(await done, 0, report);
    t.diagnostic(report);
    assert.match(report, /met +total: errors = 0/);
    await eventually("it is told", () => told.includes("cluster: b exited (signal 9)\n"));
    assert.equal(command("cluster", "status", urls[0]).code, 0);
  } finally {
    up.kill("SIGTERM");
  }
  // One ended badly.
  assert.equal(await ended, 1);
  assert.match(told, /^cluster: a ended \(code 0\)$/m);
  await cluster.stop();
});

test("`skep cluster up` checks all before it starts any", async () => {
  const cluster = await Cluster.make();
  for (const name of cluster.names) cluster.file(name);
  fs.appendFileSync(path.join(cluster.folder, "c.toml"), "nonsense = 1\n");
  let done = command("cluster", "up", cluster.folder);
  assert.equal(done.code, 2);
  assert.match(done.stderr, /c\.toml:\d+:\d+: unknown key "nonsense"/);
  assert.equal(done.stdout, "");
  fs.copyFileSync(path.join(cluster.folder, "a.toml"), path.join(cluster.folder, "c.toml"));
  done = command("cluster", "up", cluster.folder);
  assert.equal(done.code, 2);
  assert.match(done.stderr, /c\.toml: node\.name is "a", as in .*a\.toml/);
  await cluster.stop();
});
