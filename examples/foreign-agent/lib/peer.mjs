// A peer of a cluster that serves names: announces them, takes requests, answers, streams for credit.
import { EventEmitter } from "node:events";

import { decodeEnvelope, encodeEnvelope, kind, remainingMs, requestId } from "./envelope.mjs";
import { Link } from "./link.mjs";
import { code, failureReply, nodeAnnounce, nodeDrainRequest, spoken } from "./messages.mjs";

const callsMax = 10000;
const retryAfterMs = 100;
const drainMs = 5000;
// setTimeout() takes no more; nobody waits for 24 days.
const timerMaxMs = 2 ** 31 - 1;

/// A request being answered. Exactly one of reply(), end() and fail() ends it; `signal` is aborted when
/// nobody waits for it any more. After that all of these do nothing.
export class Call {
  #peer;
  #session;
  #abort = new AbortController();
  #awaken = null;
  #timer = null;

  constructor(peer, session, head) {
    this.#peer = peer;
    this.#session = session;
    this.id = requestId(head);
    this.node = session.node;
    this.name = head.target.name;
    this.correlation = head.correlation;
    this.context = head.context;
    this.tag = head.tag;
    this.payload = head.payload;
    this.signal = this.#abort.signal;
    /// Bytes that may still be streamed; it may go below zero by one chunk.
    this.credit = head.credit;
    this.over = false;
    const ms = remainingMs(head);
    this.expired = ms <= 0;
    if (ms <= timerMaxMs)
      this.#timer = setTimeout(() => this.fail(code.deadlineExceeded, "the deadline passed at work"), ms);
  }

  reply(type, value) {
    this.#last(kind.reply, type, value);
  }

  open(type, value) {
    this.#say(kind.open, type, value);
  }

  /// Sends one part of a stream and waits until there is credit for the next, or the call is over.
  async chunk(type, value, cost) {
    if (this.over) return;
    this.credit -= cost;
    this.#say(kind.chunk, type, value, cost);
    if (this.credit > 0) return;
    this.#peer.emit("paused", this);
    await new Promise((done) => (this.#awaken = done));
    if (!this.over) this.#peer.emit("resumed", this);
  }

  end(type, value) {
    this.#last(kind.end, type, value);
  }

  fail(why, detail, after = 0) {
    if (this.over) return;
    this.#say(kind.failed, failureReply, { code: why, detail, retryAfterMs: after });
    this.#finish(detail);
    this.#peer.emit("failed", this, detail);
  }

  /// The caller's side: more credit came.
  grant(bytes) {
    this.credit += bytes;
    if (this.credit > 0) this.#wake();
  }

  /// The caller no longer listens.
  cancel(why) {
    if (this.over) return;
    this.#finish(why);
    this.#peer.emit("cancelled", this, why);
  }

  #last(envelopeKind, type, value) {
    if (this.over) return;
    this.#say(envelopeKind, type, value);
    this.#finish("answered");
    this.#peer.emit("answered", this);
  }

  #say(envelopeKind, type, value, credit = 0) {
    if (this.over) return;
    this.#peer.say(this.#session, {
      kind: envelopeKind, correlation: this.correlation, tag: type.tag, credit, payload: type.encode(value),
    });
  }

  #finish(why) {
    this.over = true;
    clearTimeout(this.#timer);
    this.#peer.forget(this.#session, this);
    this.#abort.abort(why);
    this.#wake();
  }

  #wake() {
    this.#awaken?.();
    this.#awaken = null;
  }
}

/// Events: up(node, address), down(node, why), refused(text), trouble(text), drain(node), idle, and per
/// call: request, paused, resumed, answered, failed(call, why), cancelled(call, why).
export class Peer extends EventEmitter {
  #link;
  #calls = new Map(); // By session: its calls by correlation.
  #count = 0;
  #names = new Map(); // Each to {tag: {type, serve}}.
  #leaving = false;

  /// Options: those of Link but `speaks`.
  constructor(options) {
    super();
    this.#link = new Link({ ...options, speaks: spoken });
    this.#link.on("up", (session) => this.#up(session));
    this.#link.on("down", (session, why) => this.#down(session, why));
    this.#link.on("message", (session, bytes) => this.#messageCame(session, bytes));
    this.#link.on("refused", ({ node, text }) => this.emit("refused", text || `node ${node} refuses this peer`));
    this.#link.on("trouble", (text) => this.emit("trouble", text));
  }

  get address() {
    return this.#link.address;
  }

  /// Calls at work.
  get calls() {
    return this.#count;
  }

  /// Serves requests of one message type under a name: `serve(call, value)` may be async. What it throws
  /// is answered as a failure.
  serve(name, type, serve) {
    const known = this.#names.get(name) ?? new Map();
    this.#names.set(name, known.set(type.tag, { type, serve }));
    for (const session of this.#link.sessions()) this.#announce(session);
  }

  start() {
    return this.#link.start();
  }

  /// Takes the names back, lets what is at work end, says goodbye.
  async stop(ms = drainMs) {
    this.#leaving = true;
    for (const session of this.#link.sessions()) this.#announce(session);
    let timer;
    const late = new Promise((done) => (timer = setTimeout(done, ms)));
    if (this.#count > 0) await Promise.race([new Promise((done) => this.once("idle", done)), late]);
    clearTimeout(timer);
    for (const calls of [...this.#calls.values()])
      for (const call of [...calls.values()]) call.fail(code.shuttingDown, "the agent is stopping", retryAfterMs);
    await new Promise((done) => setImmediate(done)); // The last answers go into their frames.
    await this.#link.stop();
  }

  /// For calls: sends an envelope.
  say(session, fields) {
    const source = { incarnation: this.#link.incarnation };
    const target = { incarnation: session.hello.incarnation, name: fields.name ?? "" };
    if (!this.#link.send(session, encodeEnvelope({ ...fields, source, target })) && session.state === "live")
      this.emit("trouble", `the queue to node ${session.node} is full, a message is lost`);
  }

  /// For calls: this one is over.
  forget(session, call) {
    if (!this.#calls.get(session)?.delete(call.correlation)) return;
    this.#count -= 1;
    if (this.#count === 0) this.emit("idle");
  }

  // -- sessions -----------------------------------------------------------------------------------

  #up(session) {
    this.#calls.set(session, new Map());
    this.emit("up", session.node, session.hello.address);
    this.#announce(session);
  }

  /// A call ends with its session: its caller has been told that the node is lost.
  #down(session, why) {
    const calls = this.#calls.get(session);
    for (const call of [...calls.values()]) call.cancel(`node ${session.node} is lost`);
    this.#calls.delete(session);
    this.emit("down", session.node, why);
  }

  /// All the names of this peer, to the node itself, which is called "cluster".
  #announce(session) {
    const names = this.#leaving ? [] : [...this.#names.keys()];
    const payload = nodeAnnounce.encode({ names });
    this.say(session, { kind: kind.send, name: "cluster", tag: nodeAnnounce.tag, context: {}, payload });
  }

  // -- what comes in ------------------------------------------------------------------------------

  #messageCame(session, bytes) {
    let head;
    try {
      head = decodeEnvelope(bytes);
    } catch (error) {
      this.emit("trouble", `an envelope of node ${session.node} was dropped: ${error.message}`);
      return;
    }
    const call = this.#calls.get(session)?.get(head.correlation);
    if (head.kind === kind.request) this.#requestCame(session, head);
    else if (head.kind === kind.cancel) call?.cancel("the caller gave up");
    else if (head.kind === kind.credit) call?.grant(head.credit);
    else if (head.kind === kind.watch) this.#watchCame(session, head);
    else if (head.kind === kind.send && head.target.name === "cluster" && head.tag === nodeDrainRequest.tag)
      this.emit("drain", session.node);
    // Sends to names here, other nodes' names, downs and exits are nothing this peer has a use for.
  }

  #requestCame(session, head) {
    if (this.#calls.get(session).has(head.correlation))
      return this.emit("trouble", `node ${session.node} uses a correlation twice`);
    const call = new Call(this, session, head);
    this.#calls.get(session).set(call.correlation, call);
    this.#count += 1;
    this.emit("request", call);
    const name = this.#names.get(call.name);
    const known = name?.get(call.tag);
    if (this.#leaving) call.fail(code.shuttingDown, "the agent is stopping", retryAfterMs);
    else if (this.#count > callsMax) call.fail(code.overloaded, `${callsMax} calls are at work`, retryAfterMs);
    else if (call.expired) call.fail(code.deadlineExceeded, "the deadline passed on the way");
    else if (!name) call.fail(code.notFound, `nobody is called ${call.name}`);
    else if (!known) call.fail(code.unexpectedMessage, `${call.name} does not understand messages of type ${call.tag}`);
    else this.#run(call, known);
  }

  async #run(call, { type, serve }) {
    let value;
    try {
      value = type.decode(call.payload);
    } catch (error) {
      return call.fail(code.malformed, error.message);
    }
    try {
      await serve(call, value);
      call.fail(code.actorFailed, "the agent ended without an answer");
    } catch (error) {
      call.fail(error.code ?? code.actorFailed, error.message);
    }
  }

  /// Names here end with the session, which the watcher notices itself; an unknown one is told at once.
  #watchCame(session, head) {
    if (this.#names.has(head.target.name)) return;
    this.say(session, {
      kind: kind.down, correlation: head.correlation, tag: failureReply.tag,
      payload: failureReply.encode({ code: code.notFound, detail: `nobody is called ${head.target.name}` }),
    });
  }
}
