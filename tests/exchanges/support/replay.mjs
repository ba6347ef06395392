// The provider that answers as an exchange says. The model's name chooses: "ID" or "ID~MODE".
import zlib from "node:zlib";

import { LoopbackServer } from "../../system/support/loopback_server.mjs";

/// Numbers from a seed, so that a run can be had again.
export function randomOf(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 16) % below;
  };
}

/// How an answer may come apart on its way: each mode gives the pieces that are written one by one.
export const modes = {
  recorded: (text) => text.split(/(?<=\n\n)/).map((piece) => Buffer.from(piece)),
  bytes: (text) => Array.from(Buffer.from(text), (byte) => Buffer.of(byte)),
  random(text, random) {
    const bytes = Buffer.from(text), pieces = [];
    for (let at = 0; at < bytes.length;) {
      const next = at + 1 + random(60);
      pieces.push(bytes.subarray(at, next));
      at = next;
    }
    return pieces;
  },
  crlf: (text) => [Buffer.from(text.replace(/\r?\n/g, "\r\n"))],
  gzip: (text) => [zlib.gzipSync(text)],
};

export class Replay extends LoopbackServer {
  /// `exchanges`: by id. What was asked is in `asked`, by the model's name.
  constructor(exchanges, seed) {
    super();
    this.exchanges = exchanges;
    this.seed = seed;
    this.asked = new Map();
  }

  serve(request, response) {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => {
      if (request.method === "GET") return response.end('{"object":"list","data":[]}');
      const body = JSON.parse(Buffer.concat(pieces));
      const [id, mode = "recorded"] = body.model.split("~");
      this.asked.set(body.model, body);
      return this.#answer(response, this.exchanges.get(id).response, mode.split(".")[0]);
    });
  }

  async #answer(response, { status, headers, text }, mode) {
    const coding = mode === "gzip" ? { "content-encoding": "gzip" } : {};
    response.writeHead(status, { ...headers, ...coding });
    response.socket?.setNoDelay(true);
    for (const piece of modes[mode](text, randomOf(this.seed))) {
      if (response.destroyed) return;
      response.write(piece);
      await new Promise((next) => setImmediate(next));
    }
    response.end();
  }
}
