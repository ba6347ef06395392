// The two halves of a session: what this peer sends (numbered, sent again until it is acknowledged,
// within the window the other grants) and what it receives (in order, acknowledged soon).
import { decodeRecords, encodeRecords } from "./frame.mjs";

const frameBytes = 64 * 1024;
const framesMax = 512;
const queueBytesMax = 64 * 1024 * 1024;
const messageBytesMax = 64 * 1024 * 1024;
// A healthy receiver acknowledges within a beat.
const resendMs = 300;
const resendMaxMs = 2000;
const ackDelayMs = 20;
const framesPerAck = 64;

/// The bytes this peer lets another have under way.
export const windowBytes = 8 * 1024 * 1024;

/// Turns messages into numbered frames. `emit(sequence, body)` puts one on the wire.
export class Sender {
  #records = [];
  #queuedBytes = 0;
  #flying = [];
  #flyingBytes = 0;
  #acked = 0;
  #progressAt = 0;
  #doublings = 0;

  constructor(window, emit) {
    this.window = window;
    this.emit = emit;
  }

  /// The number of the last frame sent.
  get lastSent() {
    return this.#acked + this.#flying.length;
  }

  /// False when the queue is full: the receiver has stopped reading.
  push(message) {
    if (this.#queuedBytes + message.length > queueBytesMax) return false;
    for (const record of encodeRecords(message)) {
      this.#records.push(record);
      this.#queuedBytes += record.length;
    }
    return true;
  }

  /// Sends what the window allows.
  pump(now) {
    while (this.#records.length > 0 && this.#hasRoom()) {
      const body = this.#nextBody();
      this.#flying.push({ body, sentAt: now });
      this.#flyingBytes += body.length;
      this.emit(this.lastSent, body);
    }
  }

  /// What the head of any frame says. False when it acknowledges what was never sent.
  heard({ ack, window }, now) {
    if (ack > this.lastSent) return false;
    if (ack < this.#acked) return true; // Overtaken by a newer one.
    this.window = window;
    if (ack > this.#acked) {
      for (const { body } of this.#flying.splice(0, ack - this.#acked)) this.#flyingBytes -= body.length;
      this.#acked = ack;
      this.#progressAt = now;
      this.#doublings = 0;
    }
    return true;
  }

  /// Sends everything again from the first frame missing when it is overdue (go-back-N).
  tick(now) {
    if (this.#flying.length === 0) return;
    const timeout = Math.min(resendMs * 2 ** this.#doublings, resendMaxMs);
    if (now - Math.max(this.#flying[0].sentAt, this.#progressAt) < timeout) return;
    this.#doublings = Math.min(this.#doublings + 1, 8);
    this.#flying.forEach((frame, n) => {
      frame.sentAt = now;
      this.emit(this.#acked + 1 + n, frame.body);
    });
  }

  #hasRoom() {
    if (this.window === 0 || this.#flying.length >= framesMax) return false;
    // With nothing under way any one frame may go, or a small window would stop all.
    return this.#flying.length === 0 || this.#flyingBytes + this.#records[0].length <= this.window;
  }

  #nextBody() {
    let count = 0;
    let bytes = 0;
    do bytes += this.#records[count++].length;
    while (count < this.#records.length && bytes + this.#records[count].length <= frameBytes);
    this.#queuedBytes -= bytes;
    return Buffer.concat(this.#records.splice(0, count));
  }
}

/// Takes data frames in order and puts their messages together.
export class Receiver {
  /// All frames up to this one have come.
  received = 0;
  /// When an acknowledgement must leave, should nothing else leave before.
  ackAt = Infinity;
  #framesSinceAck = 0;
  #bytesSinceAck = 0;
  #parts = [];
  #partBytes = 0;

  /// The whole messages in a data frame; none when it came before, or ahead of a missing one. Throws
  /// when it is malformed.
  *take(sequence, body, now) {
    if (sequence !== this.received + 1) {
      this.ackAt = sequence <= this.received ? Math.min(this.ackAt, now + ackDelayMs) : now;
      return;
    }
    this.received += 1;
    this.#framesSinceAck += 1;
    this.#bytesSinceAck += body.length;
    const much = this.#framesSinceAck >= framesPerAck || this.#bytesSinceAck >= windowBytes / 4;
    this.ackAt = Math.min(this.ackAt, much ? now : now + ackDelayMs);
    for (const { bytes, more } of decodeRecords(body)) {
      this.#partBytes += bytes.length;
      if (this.#partBytes > messageBytesMax) throw new RangeError("malformed: a message over 64 MiB");
      this.#parts.push(bytes);
      if (more) continue;
      const whole = this.#parts.length === 1 ? bytes : Buffer.concat(this.#parts);
      this.#parts = [];
      this.#partBytes = 0;
      yield whole;
    }
  }

  /// The other says what it sent last: ask at once for what is missing.
  otherSent(sequence, now) {
    if (sequence > this.received) this.ackAt = now;
  }

  /// A frame with the acknowledgement has left.
  acked() {
    this.ackAt = Infinity;
    this.#framesSinceAck = 0;
    this.#bytesSinceAck = 0;
  }
}
