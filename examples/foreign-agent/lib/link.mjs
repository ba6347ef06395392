// Sessions with the nodes of a cluster. Each side says hello with a token of its choice, and the other
// puts that token on its frames: so frames of an older session or of a stranger are told apart.
// docs/wire-protocol.md is the specification.
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";

import { decodeHead, encodeHead, kind } from "./frame.mjs";
import { linkBeat, memberState, nodeHello, nodeRefusal } from "./messages.mjs";
import { Receiver, Sender, windowBytes } from "./session.mjs";
import { listen, Way } from "./way.mjs";

const tickMs = 20;
const beatMs = 250;
// Nodes beat every 250 ms; a peer has no vote about them and need not hurry.
const silenceMs = 3000;
const helloMs = 100;
const helloMaxMs = 1000;
// A hello that nothing followed is forgotten after this long.
const unprovenMs = 2500;
const peersMax = 128;

const nothing = Buffer.alloc(0);
const clock = () => performance.now();
const nowUs = () => process.hrtime.bigint() / 1000n;
const makeToken = () => randomBytes(8).readBigUInt64LE() || 1n;

/// Whether the session this hello asks for comes after the other one.
function isNewer(hello, other) {
  if (hello.incarnation !== other.incarnation) return hello.incarnation > other.incarnation;
  return hello.attempt > other.attempt;
}

/// A session: being opened, live, or over.
class Session {
  hello = null; // The other side's.
  heardAt = 0;
  boundAt = 0;
  nextBeat = 0;
  state = "opening";
  heardPingUs = 0n;
  heardPingAtUs = 0n;

  constructor(peer, attempt) {
    this.peer = peer;
    this.attempt = attempt;
    this.token = makeToken();
  }

  get node() {
    return this.peer.name;
  }
}

/// Events: up(session), down(session, why), message(session, bytes), refused(refusal), trouble(text).
export class Link extends EventEmitter {
  #options;
  #peers = new Map(); // By name: {name, address, kept, way, live, next, last, nextHello, helloGap}.
  #tokens = new Map(); // Our tokens, each to its session.
  #attempts = 0;
  #view = { number: 0, members: [] };
  #timer = null;
  #pumping = false;

  /// Options: cluster, node, bind, advertise, seeds ([{name, address}]), speaks ([{tag, version}]),
  /// keys (a Keys; null: none).
  constructor(options) {
    super();
    this.#options = options;
    // A later life of the process has a higher number.
    this.incarnation = BigInt(Date.now()) * 1000n + BigInt(process.pid % 1000);
  }

  async start() {
    const { router, address } = await listen(this.#options.bind, this.#options.keys);
    this.router = router;
    this.address = this.#options.advertise || address;
    for (const seed of this.#options.seeds) this.#keep(seed.name, seed.address);
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#receive();
  }

  /// Says goodbye to all and closes the sockets.
  async stop() {
    clearInterval(this.#timer);
    const ways = [];
    for (const peer of this.#peers.values()) {
      if (peer.live) this.#emit(peer.live, kind.goodbye);
      ways.push(peer.way.closeGently());
    }
    await Promise.all(ways);
    this.router.close();
    this.#options.keys?.close();
  }

  /// The live sessions.
  sessions() {
    return [...this.#peers.values()].map((peer) => peer.live).filter(Boolean);
  }

  /// Sends one message (bytes). False when the session is over or takes no more.
  send(session, bytes) {
    if (session.state !== "live" || !session.sender.push(bytes)) return false;
    // What is said in one turn of the event loop travels together.
    if (!this.#pumping) {
      this.#pumping = true;
      setImmediate(() => {
        this.#pumping = false;
        for (const each of this.sessions()) each.sender.pump(clock());
      });
    }
    return true;
  }

  // -- peers --------------------------------------------------------------------------------------

  /// A node to have a session with.
  #keep(name, address) {
    const peer = this.#peers.get(name) ?? this.#addPeer(name, address);
    if (!peer) return;
    peer.kept = true;
    if (!peer.live && peer.address !== address) this.#redirect(peer, address);
  }

  #addPeer(name, address) {
    if (name === this.#options.node || this.#peers.size >= peersMax) return null;
    const peer = {
      name, address, kept: false, way: this.#connect(name, address), live: null, next: null, last: null,
      nextHello: 0, helloGap: helloMs, greetings: 0,
    };
    this.#peers.set(name, peer);
    return peer;
  }

  #connect(name, address) {
    return new Way(name, address, this.#options.keys);
  }

  #redirect(peer, address) {
    const way = this.#connect(peer.name, address);
    peer.way.close();
    Object.assign(peer, { way, address });
  }

  #forget(peer) {
    this.#dropNext(peer);
    peer.way.close();
    this.#peers.delete(peer.name);
  }

  /// The newest view says whom to know: every node's clients shall reach this peer.
  #follow(view) {
    if (view.number <= this.#view.number) return;
    this.#view = view;
    for (const member of view.members) this.#keep(member.name, member.address);
    const known = new Set([...view.members, ...this.#options.seeds].map(({ name }) => name));
    for (const peer of this.#peers.values()) peer.kept = known.has(peer.name);
  }

  // -- frames out ---------------------------------------------------------------------------------

  #emit(session, frameKind, body = nothing, sequence = session.sender.lastSent) {
    const head = encodeHead({
      kind: frameKind, token: session.hello.token, sequence, ack: session.receiver.received, window: windowBytes,
    });
    if (session.peer.way.send(head, body)) session.receiver.acked();
  }

  #sendHello(session, echoes = true) {
    const { cluster, node, speaks } = this.#options;
    const body = nodeHello.encode({
      cluster, node, address: this.address, incarnation: this.incarnation, attempt: session.attempt,
      token: session.token, echo: echoes && session.hello ? session.hello.token : 0n,
      // No options that nodes must agree on, no list of messages that is the same as theirs.
      configDigest: 0n, schemaHash: 0n, speaks,
    });
    session.peer.way.send(encodeHead({ kind: kind.hello, window: windowBytes }), body);
  }

  #sendBeat(session, now) {
    session.nextBeat = now + beatMs;
    const pingUs = nowUs();
    const heldUs = session.heardPingUs === 0n ? 0n : pingUs - session.heardPingAtUs;
    // An empty state: alive, and no member.
    this.#emit(session, kind.beat, linkBeat.encode({ pingUs, echoUs: session.heardPingUs, heldUs }));
  }

  // -- frames in ----------------------------------------------------------------------------------

  async #receive() {
    for await (const [, head, body, ...rest] of this.router)
      if (head && body && rest.length === 0) this.#frameCame(head, body);
  }

  #frameCame(headBytes, body) {
    const head = decodeHead(headBytes);
    if (!head) return;
    const now = clock();
    try {
      if (head.kind === kind.hello) this.#helloCame(nodeHello.decode(body), head.window, now);
      else if (head.kind === kind.refusal) this.#refusalCame(nodeRefusal.decode(body), now);
      else this.#sessionFrame(head, body, now);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      this.emit("trouble", `a frame was dropped: ${error.message}`);
    }
  }

  #sessionFrame(head, body, now) {
    const session = this.#tokens.get(head.token);
    if (!session?.hello) return;
    if (session.state === "opening") {
      if (head.kind === kind.goodbye) return this.#dropNext(session.peer);
      this.#establish(session.peer, now);
    }
    session.heardAt = now;
    if (!session.sender.heard(head, now)) return;
    if (head.kind === kind.data) {
      this.#dataCame(session, head, body, now);
    } else {
      session.receiver.otherSent(head.sequence, now);
      if (head.kind === kind.beat) this.#beatCame(session, linkBeat.decode(body));
      if (head.kind === kind.goodbye) return this.#end(session.peer, "it said goodbye", now);
    }
    if (session.state !== "live") return;
    session.sender.pump(now);
    if (session.receiver.ackAt <= now) this.#emit(session, kind.ack);
  }

  #dataCame(session, { sequence }, body, now) {
    try {
      for (const message of session.receiver.take(sequence, body, now)) {
        this.emit("message", session, message);
        if (session.state !== "live") return;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#end(session.peer, error.message, now);
    }
  }

  #beatCame(session, { pingUs, state }) {
    if (pingUs > session.heardPingUs) {
      session.heardPingUs = pingUs;
      session.heardPingAtUs = nowUs();
    }
    if (state.length > 0) this.#follow(memberState.decode(state).installed);
  }

  #refusalCame(refusal, now) {
    const peer = this.#peers.get(refusal.node);
    if (!peer || peer.live || refusal.incarnation !== this.incarnation) return;
    peer.helloGap = helloMaxMs;
    peer.nextHello = now + helloMaxMs;
    this.emit("refused", refusal);
  }

  // -- hellos -------------------------------------------------------------------------------------

  #openNext(peer) {
    this.#dropNext(peer);
    peer.next = new Session(peer, ++this.#attempts);
    this.#tokens.set(peer.next.token, peer.next);
    return peer.next;
  }

  #dropNext(peer) {
    if (!peer.next) return;
    this.#tokens.delete(peer.next.token);
    peer.next.state = "over";
    peer.next = null;
  }

  /// Says hello to a node without a session, ever more rarely. Every other time without an echo: the
  /// node may have begun anew and know nothing of what it said.
  #greet(peer, now) {
    if (!peer.way.waits) this.#sendHello(peer.next ?? this.#openNext(peer), peer.greetings++ % 2 === 0);
    peer.nextHello = now + peer.helloGap * (1 + Math.random() / 4);
    peer.helloGap = Math.min(peer.helloGap * 2, helloMaxMs);
  }

  #helloCame(hello, window, now) {
    const { cluster, node } = this.#options;
    if (hello.cluster !== cluster || hello.node === node || hello.token === 0n)
      return this.emit("trouble", `a hello of node ${hello.node} in cluster ${hello.cluster} is none for this peer`);
    const peer = this.#peers.get(hello.node) ?? this.#addPeer(hello.node, hello.address);
    if (!peer) return;
    const { live, last } = peer;
    if (live) {
      if (hello.token === live.hello.token) return this.#answer(live, hello);
      const answersUs = [0n, live.token, peer.next?.token].includes(hello.echo);
      if (!isNewer(hello, live.hello) || !answersUs) return;
    } else if (last && hello.incarnation === last.incarnation && hello.attempt <= last.attempt) {
      return; // An old one.
    }
    const next = this.#bind(peer, hello, window, now);
    if (!next) return;
    if (hello.echo === next.token) this.#establish(peer, now);
    else this.#sendHello(next);
  }

  /// A hello of the session that is live already: our proof, or our hello, was lost.
  #answer(live, hello) {
    if (hello.echo === live.token) this.#emit(live, kind.ack);
    else this.#sendHello(live);
  }

  /// Makes `hello` what the session being opened is about. Null when it is an old one.
  #bind(peer, hello, window, now) {
    let next = peer.next ?? this.#openNext(peer);
    if (next.hello && next.hello.token !== hello.token) {
      const newer = isNewer(hello, next.hello);
      const echoes = hello.echo === next.token;
      if (!newer && !echoes && now - next.boundAt < unprovenMs) return null;
      // Somebody may have used our token for the other hello's session, except the same life asking anew.
      if (!echoes || !newer || hello.incarnation !== next.hello.incarnation) {
        if (now - next.boundAt < helloMs) return null;
        next = this.#openNext(peer);
      }
    }
    if (hello.echo !== next.token && !peer.live && peer.address !== hello.address) this.#redirect(peer, hello.address);
    next.hello = hello;
    next.window = window;
    next.boundAt = now;
    return next;
  }

  // -- sessions begin and end ---------------------------------------------------------------------

  /// The node has proved that it has our token.
  #establish(peer, now) {
    const session = peer.next;
    if (peer.live) {
      const restarted = peer.live.hello.incarnation !== session.hello.incarnation;
      this.#over(peer, restarted ? "it was restarted" : "it began a new session");
    }
    peer.next = null;
    peer.live = session;
    peer.last = { incarnation: session.hello.incarnation, attempt: session.hello.attempt };
    peer.helloGap = helloMs;
    session.state = "live";
    session.heardAt = now;
    session.receiver = new Receiver();
    session.sender = new Sender(session.window, (sequence, body) => this.#emit(session, kind.data, body, sequence));
    this.#emit(session, kind.ack); // The proof that we have the node's token.
    this.emit("up", session);
  }

  #over(peer, why) {
    const session = peer.live;
    peer.live = null;
    session.state = "over";
    this.#tokens.delete(session.token);
    // Numbers may begin again when the whole cluster did.
    if (this.sessions().length === 0) this.#view = { number: 0, members: [] };
    this.emit("down", session, why);
  }

  /// Ends a session; a node that is to be known is greeted again.
  #end(peer, why, now) {
    this.#over(peer, why);
    this.#redirect(peer, peer.address); // What waited for the old session is of no use.
    peer.nextHello = now + helloMs;
  }

  // -- time ---------------------------------------------------------------------------------------

  #tick() {
    const now = clock();
    for (const peer of [...this.#peers.values()]) {
      if (peer.live) this.#tickSession(peer.live, now);
      else if (peer.kept && now >= peer.nextHello) this.#greet(peer, now);
      else if (!peer.kept && now - (peer.next?.boundAt ?? 0) > unprovenMs) this.#forget(peer);
    }
  }

  #tickSession(session, now) {
    if (now - session.heardAt > silenceMs)
      return this.#end(session.peer, `silent for ${now - session.heardAt} ms`, now);
    session.sender.tick(now);
    if (now >= session.nextBeat) this.#sendBeat(session, now);
    else if (now >= session.receiver.ackAt) this.#emit(session, kind.ack);
  }
}
