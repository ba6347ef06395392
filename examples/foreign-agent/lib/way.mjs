// ZeroMQ: one ROUTER that everybody sends to, and a DEALER towards each node.
import * as zmq from "zeromq";

const queuedFramesMax = 1024;
const reconnectMs = 50;
const reconnectMaxMs = 1000;
const connectMs = 2000;
const handshakeMs = 5000;
const lastFramesMs = 200;

/// Where this peer listens: the socket and its address. `keys` may be null.
export async function listen(bind, keys) {
  await keys?.open();
  const router = new zmq.Router({ linger: 0, handshakeInterval: handshakeMs, ...keys?.listening() });
  await router.bind(bind);
  return { router, address: router.lastEndpoint };
}

/// A connection to one node. Frames queue here and not in ZeroMQ, so that a node that is away finds
/// none of yesterday's.
export class Way {
  #queue = [];
  #sending = null;
  #closed = false;

  /// Throws a RangeError for what is no address: nodes name each other's.
  constructor(node, address, keys) {
    if (!/^tcp:\/\/\S+:\d+$/.test(address)) throw new RangeError(`malformed: ${address} is no address`);
    this.address = address;
    this.dealer = new zmq.Dealer({
      linger: 0, immediate: true, connectTimeout: connectMs, handshakeInterval: handshakeMs,
      reconnectInterval: reconnectMs, reconnectMaxInterval: reconnectMaxMs,
      ...keys?.towards(node),
    });
    try {
      this.dealer.connect(address);
    } catch (error) {
      this.dealer.close();
      throw new RangeError(`malformed: cannot connect to ${address}: ${error.message}`);
    }
  }

  /// False when the frame was dropped: the node takes none.
  send(head, body) {
    if (this.#closed || this.#queue.length >= queuedFramesMax) return false;
    this.#queue.push([head, body]);
    this.#sending ??= this.#drain();
    return true;
  }

  /// Whether frames wait for the connection.
  get waits() {
    return this.#queue.length > 0;
  }

  close() {
    this.#closed = true;
    this.#queue = [];
    this.dealer.close();
  }

  /// Closes once the last frames have left, or could not.
  async closeGently() {
    this.dealer.linger = lastFramesMs;
    let timer;
    const late = new Promise((done) => (timer = setTimeout(done, lastFramesMs)));
    await Promise.race([this.#sending, late]);
    clearTimeout(timer);
    this.close();
  }

  // A DEALER takes one frame at a time.
  async #drain() {
    try {
      while (this.#queue.length > 0) await this.dealer.send(this.#queue.shift());
    } catch (error) {
      if (!this.#closed) throw error; // Closed while a frame waited.
    } finally {
      this.#sending = null;
    }
  }
}
