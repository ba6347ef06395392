// What stands before every payload: who, to whom, and which question it belongs to.
import { flag, integer, message, octets, optional, record, text, u64 } from "./codec.mjs";

export const kind = {
  send: 0, request: 1, reply: 2, open: 3, chunk: 4, end: 5, failed: 6, cancel: 7, credit: 8, watch: 9, down: 10,
  exit: 11,
};

const noDeadline = 2n ** 64n - 1n;

const address = record({ incarnation: u64, actor: u64, name: text });
const trace = record({ trace: octets, span: octets, flags: integer });
const context = record({
  id: octets, remainingUs: u64, priority: integer, flags: integer, tenant: text, session: text, trace: optional(trace),
}, { id: new Uint8Array(16), remainingUs: noDeadline, priority: 1, flags: 1, tenant: "default" });
const envelope = message(0, 1, {
  version: integer, kind: integer, source: address, target: address, correlation: u64,
  context: optional(context), tag: integer, credit: integer, payload: octets,
}, { version: 1 });

/// Bytes of an envelope; what is not named takes its default.
export const encodeEnvelope = (fields) => envelope.encode(fields);

/// Throws a TypeError or RangeError for bytes that are none.
export const decodeEnvelope = (bytes) => envelope.decode(bytes);

/// Milliseconds from now until the caller stops waiting; Infinity when it never does.
export function remainingMs({ context: given }) {
  return given === null || given.remainingUs === noDeadline ? Infinity : Number(given.remainingUs) / 1000;
}

/// A request's id as logs and the x-request-id header show it.
export function requestId({ context: given }) {
  const hex = Buffer.from(given?.id ?? []).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
