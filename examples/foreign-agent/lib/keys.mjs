// CURVE keys: who may connect to this peer, and who it means to reach. `skep cluster keygen` makes them.
import fs from "node:fs";

import * as zmq from "zeromq";

// ZeroMQ asks this socket about every handshake (RFC 27).
const zapAddress = "inproc://zeromq.zap.01";
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The 40 characters of a key of 32 bytes (RFC 32).
function toText(key) {
  let text = "";
  for (let at = 0; at + 4 <= key.length; at += 4) {
    const word = key.readUInt32BE(at);
    for (const power of [85 ** 4, 85 ** 3, 85 ** 2, 85, 1]) text += z85[Math.floor(word / power) % 85];
  }
  return text;
}

/// The "NAME=KEY" entries of the public_keys.toml that keygen writes, as {NAME: KEY}.
export function readPublicKeys(file) {
  const entries = fs.readFileSync(file, "utf8").matchAll(/^\s*"([^"=]+)=([^"]{40})",?\s*$/gm);
  return Object.fromEntries([...entries].map(([, name, key]) => [name, key]));
}

export class Keys {
  #publicKeys;
  #own;
  #door = null;

  /// Throws when the list has no key for this node.
  constructor(node, publicKeys, secretKey) {
    if (!publicKeys[node]) throw new Error(`there is no public key of node ${node}`);
    this.#publicKeys = publicKeys;
    this.#own = { curvePublicKey: publicKeys[node], curveSecretKey: secretKey };
  }

  /// Options of the ROUTER: whoever has a key of the list may connect.
  listening() {
    return { curveServer: true, curveSecretKey: this.#own.curveSecretKey };
  }

  /// Options of a DEALER: only the node of this name can read what is sent.
  towards(node) {
    const curveServerKey = this.#publicKeys[node];
    if (!curveServerKey) throw new RangeError(`there is no public key of node ${node}`);
    return { ...this.#own, curveServerKey };
  }

  /// Answers ZeroMQ's questions; before anything is bound.
  async open() {
    this.#door = new zmq.Reply({ linger: 0 });
    await this.#door.bind(zapAddress);
    this.#answer();
  }

  close() {
    this.#door?.close();
  }

  async #answer() {
    const allowed = new Set(Object.values(this.#publicKeys));
    for await (const [version, id, , , , mechanism, key] of this.#door) {
      const fine = String(mechanism) === "CURVE" && key?.length === 32 && allowed.has(toText(key));
      await this.#door.send([version, id, fine ? "200" : "400", fine ? "OK" : "not on the list", "", ""]);
    }
  }
}
