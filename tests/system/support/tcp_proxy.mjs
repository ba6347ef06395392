// Stands between two sides of a TCP connection and mistreats what passes: delay, stall, reset,
// corruption. Each of them can be switched on and off while connections live.
import net from "node:net";

export class TcpProxy {
  /// Milliseconds each piece is held back, in order; up to `jitter` more.
  delay = 0;
  jitter = 0;
  /// Share of the pieces in which a byte is flipped.
  corruption = 0;
  /// How many pieces were spoilt.
  corrupted = 0;
  #stalled = false;
  #pairs = new Set();

  /// Listens on a free port of loopback and connects to this one for each who comes.
  static async start(targetPort) {
    const proxy = new TcpProxy();
    proxy.server = net.createServer((near) => proxy.#accept(near, targetPort));
    await new Promise((done) => proxy.server.listen(0, "127.0.0.1", done));
    proxy.port = proxy.server.address().port;
    return proxy;
  }

  /// Nothing passes until resume(); the connections stay.
  stall() {
    this.#stalled = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  resume() {
    this.#stalled = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /// Cuts every connection with an RST.
  reset() {
    const cut = [...this.#pairs];
    for (const pair of cut) {
      // Both are on their way: a destroy() in between would leave Node with an open handle.
      this.#pairs.delete(pair);
      for (const socket of pair) socket.resetAndDestroy();
    }
    return cut.length;
  }

  async stop() {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await new Promise((done) => this.server.close(done));
  }

  #accept(near, targetPort) {
    const far = net.connect(targetPort, "127.0.0.1");
    const pair = [near, far];
    this.#pairs.add(pair);
    this.#pass(near, far);
    this.#pass(far, near);
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        if (this.#pairs.delete(pair)) for (const other of pair) other.destroy();
      });
      if (this.#stalled) socket.pause();
    }
  }

  #pass(from, to) {
    // The end of the piece before, so that delays of different length keep the order.
    let before = Promise.resolve();
    from.on("data", (piece) => {
      const due = Date.now() + this.delay + Math.random() * this.jitter;
      const sent = this.#spoilt(piece);
      before = before.then(async () => {
        const left = due - Date.now();
        if (left > 0) await new Promise((next) => setTimeout(next, left));
        if (to.destroyed || to.write(sent)) return;
        from.pause();
        to.once("drain", () => this.#stalled || from.resume());
      });
    });
  }

  #spoilt(piece) {
    if (Math.random() >= this.corruption) return piece;
    this.corrupted += 1;
    const copy = Buffer.from(piece);
    copy[Math.floor(Math.random() * copy.length)] ^= 1 << Math.floor(Math.random() * 8);
    return copy;
  }
}
