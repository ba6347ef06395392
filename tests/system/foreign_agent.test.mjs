// An agent in JavaScript among two real nodes: it shares nothing with them but the wire protocol.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { clientOf, Cluster, pause } from "./support/cluster.mjs";
import { ForeignAgent, load, seedsOf, Stranger } from "./support/foreign.mjs";
import { command, eventually, source } from "./support/node.mjs";

const { decodeEnvelope, encodeEnvelope, kind, remainingMs, requestId } = await load("envelope.mjs");
const { decodeHead, decodeRecords, encodeHead, encodeRecords, fragmentBytes, kind: frameKind } = await load("frame.mjs");
const messages = await load("messages.mjs");
const { Receiver, Sender } = await load("session.mjs");
const { code, chatRequest, failureReply } = messages;

const folder = path.join(source, "tests/wire/golden");
const exists = (name) => fs.existsSync(path.join(folder, `${name}.hex`));
const lines = (name) => fs.readFileSync(path.join(folder, `${name}.hex`), "utf8").trimEnd().split("\n");
const golden = (name) => Buffer.from(lines(name).join(""), "hex");

// -- the library alone ----------------------------------------------------------------------------

test("messages are written as skep writes them", () => {
  const names = {
    failure_reply: messages.failureReply, chat_request: messages.chatRequest, chat_reply: messages.chatReply,
    chat_open: messages.chatOpen, chat_chunk: messages.chatChunk, chat_end: messages.chatEnd,
    node_hello: messages.nodeHello, node_refusal: messages.nodeRefusal, member_state: messages.memberState,
    node_announce: messages.nodeAnnounce, node_drain_request: messages.nodeDrainRequest,
  };
  for (const [name, type] of Object.entries(names)) {
    if (!exists(name)) continue; // Not every message of nodes has its bytes there.
    const bytes = golden(name);
    assert.deepEqual(type.encode(type.decode(bytes)), bytes, name);
  }
  const request = chatRequest.decode(golden("chat_request"));
  assert.equal(request.model, "support");
  assert.deepEqual(request.messages, [{ role: "user", content: "2+2?", rest: '{"name":"ann"}', toolCalls: [
    { index: 1, id: "c1", type: "function", name: "add", arguments: '{"a":2}', extra: '{"cache_control":{}}' },
  ] }]);
  assert.deepEqual(failureReply.decode(golden("failure_reply")),
    { code: 1, detail: "full", retryAfterMs: 250, provider: "openai", status: 503, tries: 2,
      param: "messages", providerType: "overloaded", providerCode: "busy",
      providerApi: 2, providerBody: '{"error":{}}' });
});

test("envelopes are written as skep writes them", () => {
  for (let n = 0; exists(`envelope_${n}`); ++n) {
    const bytes = golden(`envelope_${n}`);
    const head = decodeEnvelope(bytes);
    assert.equal(head.kind, n);
    assert.deepEqual(head.source, { incarnation: 7n, actor: 8n, name: "" });
    assert.deepEqual(head.target, { incarnation: 9n, actor: 0n, name: "cache/3" });
    assert.equal(head.correlation, 42n);
    assert.equal(Buffer.from(head.payload).toString(), "payload");
    assert.deepEqual(encodeEnvelope(head), bytes);
  }
  assert.ok(exists(`envelope_${kind.credit}`));
  const request = decodeEnvelope(golden("envelope_1"));
  assert.equal(remainingMs(request), 2000);
  assert.equal(requestId(request), "00010203-0405-0607-0809-0a0b0c0d0e0f");
});

test("integers of any size survive, and short and long records are read", () => {
  const max = 2n ** 64n - 1n;
  for (const token of [0n, 1n, 127n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, max])
    assert.equal(messages.nodeHello.decode(messages.nodeHello.encode({ token })).token, token);
  for (const created of [0, -1, 255, 2 ** 31, 2 ** 32, 2 ** 45])
    assert.equal(messages.chatOpen.decode(messages.chatOpen.encode({ created })).created, created);
  assert.throws(() => messages.chatOpen.decode(Buffer.from("92a0cfffffffffffffffff", "hex")), TypeError);
  assert.throws(() => failureReply.decode(Buffer.from("93a101a0cc", "hex")));
  const least = { code: 1, detail: "", retryAfterMs: 0, provider: "", status: 0, tries: 0, param: "", providerType: "", providerCode: "", providerApi: 0, providerBody: "" };
  assert.deepEqual(failureReply.decode(Buffer.from("9101", "hex")), least);
  assert.deepEqual(failureReply.decode(Buffer.from("9c01a005a00000a0a0a000a00a", "hex")), { ...least, retryAfterMs: 5 });
});

test("heads and records are those of the specification", () => {
  const head = { kind: 3, token: 0x0102030405060708n, sequence: 9, ack: 10, window: 11 };
  const fields = ["736b0103", "0807060504030201", "0900000000000000", "0a00000000000000", "0b000000"];
  const bytes = Buffer.from(fields.join(""), "hex");
  assert.deepEqual(encodeHead(head), bytes);
  assert.deepEqual(decodeHead(bytes), head);
  for (const wrong of [bytes.subarray(1), Buffer.concat([bytes, bytes]), Buffer.alloc(32)])
    assert.equal(decodeHead(wrong), null);

  assert.deepEqual(encodeRecords(Buffer.from("abc")), [Buffer.from("\x03\0\0\0abc")]);
  const long = Buffer.alloc(fragmentBytes * 2 + 1, "x");
  const cut = encodeRecords(long);
  assert.deepEqual(cut.map((record) => [...decodeRecords(record)][0].more), [true, true, false]);
  assert.throws(() => [...decodeRecords(Buffer.from("\x04\0\0\0abc"))], RangeError);
  assert.throws(() => [...decodeRecords(Buffer.from("\x04\0"))], RangeError);
});

test("frames are written as skep writes them", () => {
  const bodies = { hello: messages.nodeHello, refusal: messages.nodeRefusal, beat: messages.linkBeat };
  for (const name of ["hello", "refusal", "data", "beat", "ack", "goodbye"]) {
    const [head, body = ""] = lines(`frame_${name}`).map((line) => Buffer.from(line, "hex"));
    assert.equal(decodeHead(head).kind, frameKind[name]);
    // Real frames are counted below 2^53, where a Number is exact; these here are not.
    const exact = { sequence: head.readBigUInt64LE(12), ack: head.readBigUInt64LE(20) };
    assert.deepEqual(encodeHead({ ...decodeHead(head), ...exact }), head, name);
    if (name === "data") assert.ok([...decodeRecords(body)].length > 0);
    if (name === "beat") assert.equal(Buffer.from(bodies.beat.decode(body).state).toString(), "state");
    else if (bodies[name]) assert.deepEqual(bodies[name].encode(bodies[name].decode(body)), body, name);
  }
});

test("a session delivers everything once and in order over a line that loses frames", () => {
  // A line that loses a third of its frames, by a fixed sequence of numbers (Park and Miller's), and a
  // window of a few frames.
  let random = 1;
  const lost = () => (random = (random * 48271) % 0x7fffffff) % 3 === 0;
  const receiver = new Receiver();
  const got = [];
  let now = 0;
  let frames = 0;
  const sender = new Sender(300_000, (sequence, body) => {
    frames += 1;
    if (lost()) return;
    for (const message of receiver.take(sequence, body, now)) got.push(message);
  });
  const sent = Array.from({ length: 60 }, (_, n) => Buffer.alloc(n * n * 200, String(n)));
  for (const message of sent) assert.ok(sender.push(message));
  for (; now < 100_000 && got.length < sent.length; now += 50) {
    sender.pump(now);
    sender.tick(now);
    assert.ok(sender.heard({ ack: receiver.received, window: 300_000 }, now));
  }
  assert.deepEqual(got, sent);
  assert.ok(frames > receiver.received, "something was sent again");
  assert.equal(sender.heard({ ack: receiver.received + 1, window: 1 }, now), false);
  sender.window = 0;
  const before = frames;
  sender.push(Buffer.from("late"));
  sender.pump(now);
  assert.equal(frames, before, "nothing goes without a window");
});

// -- among nodes ----------------------------------------------------------------------------------

const nodes = ["a", "b"];
const cluster = await Cluster.start({ names: nodes });
test.after(() => cluster.stop());

/// A test with an agent of its own, which is gone at the end.
function withAgent(name, options, body) {
  test(name, async (t) => {
    const agent = await ForeignAgent.start(cluster, options);
    try {
      await lists(nodes, agent.name, true);
      await body(agent, t);
    } finally {
      await agent.kill();
      await lists(cluster.up(), agent.name, false, 5000);
    }
  });
}

const clientAt = (node) => clientOf(cluster.nodes[node]);
const models = async (node) => (await clientAt(node).models.list()).data.map((model) => model.id);

/// Until all of these nodes list the agent, or none.
function lists(names, agent, wanted, ms = 3000) {
  return eventually(`${names} ${wanted ? "list" : "no longer list"} ${agent}`, async () =>
    (await Promise.all(names.map(models))).every((all) => all.includes(agent) === wanted), ms);
}

const question = (text, model = "foreign") => ({ model, messages: [{ role: "user", content: text }] });
const backwards = (text) => text.split(/\s+/).reverse().join(" ");

async function whole(node, text, model) {
  const answer = await clientAt(node).chat.completions.create(question(text, model));
  assert.equal(answer.choices[0].finish_reason, "stop");
  return answer.choices[0].message.content;
}

const open = (node, text, model, options) =>
  clientAt(node).chat.completions.create({ ...question(text, model), stream: true }, options);

async function read(stream) {
  let text = "";
  let finish = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
  }
  assert.equal(finish, "stop");
  return text;
}

const numbers = (count) => Array.from({ length: count }, (_, n) => `w${n}`).join(" ");

withAgent("every node answers with the agent, whole and streamed, though it was told of one node only",
          {}, async () => {
  for (const node of nodes) {
    const text = `asked through ${node}, with ümläuts and 漢字`;
    assert.equal(await whole(node, text), backwards(text));
    assert.equal(await read(await open(node, text)), backwards(text));
  }
  // Longer than one record on the wire, there and back.
  const long = numbers(100_000);
  assert.equal(await whole("b", long), backwards(long));
});

withAgent("64 requests at once are each answered with their own words", {}, async () => {
  await Promise.all(Array.from({ length: 64 }, async (_, n) => {
    const node = nodes[n % 2];
    const text = `${numbers(n + 1)} of ${n}`;
    const answer = n % 4 < 2 ? await whole(node, text) : await read(await open(node, text));
    assert.equal(answer, backwards(text));
  }));
});

withAgent("a client that does not read makes the agent pause, and reading makes it go on", {}, async (agent, t) => {
  const text = numbers(100_000);
  const stream = await open("b", text);
  // Quiet for a second, with a pause as its last word.
  let said = -1;
  await eventually("the agent pauses for good", async () => {
    if (agent.mark === said && /^paused/.test(agent.lines.at(-1))) return true;
    said = agent.mark;
    await pause(1000);
    return false;
  }, 20000);
  assert.equal(await read(stream), backwards(text));
  await agent.says(/^answered/);
  const [paused, resumed] = [/^paused/, /^resumed/].map((pattern) => agent.find(pattern).length);
  t.diagnostic(`${paused} pauses`);
  assert.ok(paused > 0);
  assert.equal(paused, resumed);
});

withAgent("a client that goes away cancels the call at the agent", { args: ["--word-ms", "20"] }, async (agent) => {
  const stream = await open("a", numbers(10_000));
  const id = (await agent.says(/^request (\S+) from a/))[1];
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  stream.controller.abort();
  await agent.says(new RegExp(`^cancelled ${id}: the caller gave up`), 2000);
});

withAgent("a deadline ends the call at the agent too", { args: ["--word-ms", "20"] }, async (agent) => {
  const began = Date.now();
  const hurry = { headers: { "x-request-timeout-ms": "400" } };
  await assert.rejects(async () => read(await open("b", numbers(10_000), "foreign", hurry)));
  await agent.says(/^(failed|cancelled) \S+: (the deadline passed at work|the caller gave up)/, 2000);
  assert.ok(Date.now() - began < 3000);
});

withAgent("what the agent does not take is answered with a failure that says why", {}, async () => {
  const messages = [{ role: "system", content: "x" }];
  await assert.rejects(clientAt("a").chat.completions.create({ model: "foreign", messages }),
                       { status: 400, message: /no user message/ });
});

withAgent("unknown messages, names and bytes are answered by agents on both sides of the wire", {}, async (agent) => {
  const stranger = await Stranger.join([...seedsOf(cluster), { name: "foreign", address: agent.address }]);
  try {
    const payload = chatRequest.encode(question("x y"));
    for (const [node, name] of [["foreign", "agent/foreign"], ["a", "agent/assistant"]]) {
      const failure = async (fields) => {
        const asked = stranger.request(node, { name, tag: chatRequest.tag, payload, ...fields });
        const answer = await stranger.answer(asked, kind.failed);
        assert.equal(answer.tag, failureReply.tag);
        return failureReply.decode(answer.payload).code;
      };
      assert.equal(await failure({ tag: 0x80000001 }), code.unexpectedMessage, node);
      assert.equal(await failure({ name: "agent/nobody" }), code.notFound, node);
      assert.equal(await failure({ payload: Buffer.from("no message") }), code.malformed, node);
      assert.equal(await failure({ context: { remainingUs: 0n } }), code.deadlineExceeded, node);
      // The session has borne all that.
      const fine = stranger.request(node, { name, tag: chatRequest.tag, payload });
      const reply = messages.chatReply.decode((await stranger.answer(fine, kind.reply)).payload);
      assert.ok(reply.choices[0].content.length > 0);
      // Nobody of that name will ever end.
      stranger.say(node, { kind: kind.watch, name: "agent/nobody", correlation: 1000n });
      assert.equal(failureReply.decode((await stranger.answer(1000n, kind.down)).payload).code, code.notFound, node);
      stranger.heard.length = 0;
    }
  } finally {
    await stranger.stop();
  }
});

withAgent("producers on both sides of the wire stop when the credit is used up", {}, async (agent) => {
  const stranger = await Stranger.join([...seedsOf(cluster), { name: "foreign", address: agent.address }]);
  try {
    for (const [node, name] of [["foreign", "agent/foreign"], ["b", "agent/assistant"]]) {
      const payload = chatRequest.encode({ ...question("one two three four five six seven"), stream: true });
      const correlation = stranger.request(node, { name, tag: chatRequest.tag, payload, credit: 300 });
      const spent = () => stranger.answers(correlation).filter((each) => each.kind === kind.chunk)
        .reduce((sum, each) => sum + messages.costOfChunk(messages.chatChunk.decode(each.payload)), 0);
      await eventually(`${node} has used up the credit`, () => spent() >= 300);
      await pause(500);
      // By one chunk at most may it go beyond.
      assert.ok(spent() < 300 + 200, `${node} sent ${spent()} for a credit of 300`);
      assert.equal(stranger.answers(correlation).some((each) => each.kind === kind.end), false, node);
      stranger.say(node, { kind: kind.credit, correlation, credit: 100_000 });
      await stranger.answer(correlation, kind.end);
      stranger.heard.length = 0;
    }
  } finally {
    await stranger.stop();
  }
});

withAgent("a node that is killed leaves the agent to the others, and gets it back", {}, async (agent) => {
  const mark = agent.mark;
  await cluster.kill("a"); // The one it was told of.
  assert.equal(await whole("b", "still here"), "here still");
  await agent.says(/^down a: silent/, 6000, mark);
  assert.equal(await read(await open("b", "still here")), "here still");
  await cluster.begin("a");
  await cluster.settled();
  await agent.says(/^up a /, 5000, mark);
  await lists(["a"], "foreign", true);
  assert.equal(await whole("a", "back again"), "again back");
});

withAgent("the agent killed -9: its calls fail soon, its name goes, and a new life takes both over",
          { args: ["--word-ms", "20"] }, async (agent, t) => {
  const running = await Promise.all(nodes.map((node) => open(node, numbers(10_000))));
  const began = Date.now();
  await agent.kill();
  const broken = running.map((stream) => assert.rejects(read(stream), (error) => {
    assert.match(`${error.code} ${error.message}`, /node_down|foreign/);
    return true;
  }));
  const late = nodes.map((node) => assert.rejects(whole(node, "anybody?"), { status: 503 }));
  await lists(nodes, "foreign", false, 3000);
  t.diagnostic(`gone after ${Date.now() - began} ms`);
  await Promise.all([...broken, ...late]);
  assert.ok(Date.now() - began < 4000, "nobody waits long");
  for (const node of nodes)
    await assert.rejects(whole(node, "anybody?"), (error) => [404, 503].includes(error.status));
  const next = await ForeignAgent.start(cluster);
  try {
    await lists(nodes, "foreign", true);
    for (const node of nodes) assert.equal(await whole(node, "new life"), "life new");
    // Once more, without waiting until the nodes have noticed.
    await next.kill();
    const third = await ForeignAgent.start(cluster);
    try {
      for (const node of nodes) assert.equal(await whole(node, "third life"), "life third");
    } finally {
      await third.kill();
    }
  } finally {
    await next.kill();
  }
});

withAgent("SIGTERM lets the agent answer what it has begun and say goodbye",
          { args: ["--word-ms", "20"] }, async (agent) => {
  const text = numbers(50);
  const stream = await open("b", text);
  const answer = read(stream);
  await agent.says(/^request/);
  const began = Date.now();
  const ended = agent.stop();
  await lists(nodes, "foreign", false);
  assert.equal(await answer, backwards(text));
  assert.equal(await ended, 0);
  assert.equal(agent.find(/^stopped/).length, 1);
  assert.ok(Date.now() - began < 5000);
  // Told, not found silent.
  await cluster.detects("a", "foreign", 1000);
});

withAgent("an agent that was frozen is left out, and comes back by itself", {}, async (agent) => {
  agent.child.kill("SIGSTOP");
  await lists(nodes, "foreign", false, 3000);
  await pause(3000);
  agent.child.kill("SIGCONT");
  await lists(nodes, "foreign", true, 5000);
  for (const node of nodes) assert.equal(await whole(node, "awake now"), "now awake");
});

withAgent("an agent of another cluster, or with a name that is taken, is refused and told why", {}, async (agent) => {
  const refused = async (options, why) => {
    const stranger = ForeignAgent.begin(cluster, options);
    try {
      await stranger.says(why);
      assert.equal(stranger.find(/^up /).length, 0);
    } finally {
      await stranger.kill();
    }
  };
  await refused({ args: ["--cluster", "other"] }, /^refused: node a .*cluster other/);
  await refused({ args: ["--node", "foreign"] }, /^refused: node a .*has the name foreign/);
  assert.equal(await whole("a", "me first"), "first me");
  assert.equal(agent.find(/^down/).length, 0);
});

test("with keys the agent joins when it is on the list, and is not heard when it is not", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-keys-"));
  const made = command("cluster", "keygen", "a", "b", "foreign", "--dir", folder);
  assert.equal(made.code, 0, made.stderr);
  const list = path.join(folder, "public_keys.toml");
  const secret = (name) => /='(.{40})'/.exec(fs.readFileSync(path.join(folder, `${name}.env`), "utf8"))[1];
  const env = (name) => ({ SKEP_CLUSTER_SECRET_KEY: secret(name) });
  const entries = fs.readFileSync(list, "utf8").replace(/^#.*$/gm, "");
  const locked = await Cluster.start({
    names: nodes, start: (name) => ({ env: env(name) }),
    section: () => `secret_key = "env.SKEP_CLUSTER_SECRET_KEY"\n${entries}`,
  });
  try {
    const agent = await ForeignAgent.start(locked, { args: ["--keys", list], env: env("foreign") });
    try {
      for (const node of nodes) {
        const client = clientOf(locked.nodes[node]);
        await eventually(`${node} knows it`, async () =>
          (await client.models.list()).data.some((model) => model.id === "foreign"));
        assert.equal(await read(await client.chat.completions.create({ ...question("with keys"), stream: true })),
                     "keys with");
      }
    } finally {
      await agent.kill();
    }
    // Without a key, and with one that nobody knows.
    const strangers = path.join(folder, "strangers");
    assert.equal(command("cluster", "keygen", "stranger", "--dir", strangers).code, 0);
    const wrong = path.join(folder, "wrong.toml");
    const theirs = fs.readFileSync(path.join(strangers, "public_keys.toml"), "utf8");
    fs.writeFileSync(wrong, fs.readFileSync(list, "utf8") + theirs);
    const stranger = /='(.{40})'/.exec(fs.readFileSync(path.join(strangers, "stranger.env"), "utf8"))[1];
    const outside = [
      ForeignAgent.begin(locked, { name: "plain" }),
      ForeignAgent.begin(locked, {
        name: "stranger", args: ["--keys", wrong], env: { SKEP_CLUSTER_SECRET_KEY: stranger },
      }),
    ];
    await pause(2000);
    for (const each of outside) {
      await each.kill();
      assert.equal(each.find(/^listening/).length, 1, each.stderr);
      assert.equal(each.find(/^up /).length, 0);
    }
  } finally {
    await locked.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
