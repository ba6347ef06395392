// Frames: a head of 32 bytes, little endian, and a body. Data bodies are records of length and bytes.

export const kind = { hello: 1, refusal: 2, data: 3, beat: 4, ack: 5, goodbye: 6 };

export const protocolMajor = 1;
export const headBytes = 32;
/// Messages over this are cut into several records.
export const fragmentBytes = 256 * 1024;

const magic = Buffer.from("sk");
const moreFlag = 0x80000000;

/// "sk" | protocol u8 | kind u8 | token u64 | sequence u64 | ack u64 | window u32.
export function encodeHead({ kind: frameKind, token = 0n, sequence = 0, ack = 0, window = 0 }) {
  const head = Buffer.alloc(headBytes);
  magic.copy(head);
  head.writeUInt8(protocolMajor, 2);
  head.writeUInt8(frameKind, 3);
  head.writeBigUInt64LE(token, 4);
  head.writeBigUInt64LE(BigInt(sequence), 12);
  head.writeBigUInt64LE(BigInt(ack), 20);
  head.writeUInt32LE(window, 28);
  return head;
}

/// Null when the bytes are no head of this protocol.
export function decodeHead(head) {
  if (head.length !== headBytes || !head.subarray(0, 2).equals(magic) || head[2] !== protocolMajor) return null;
  return {
    kind: head[3],
    token: head.readBigUInt64LE(4),
    sequence: Number(head.readBigUInt64LE(12)),
    ack: Number(head.readBigUInt64LE(20)),
    window: head.readUInt32LE(28),
  };
}

function encodeRecord(bytes, more) {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length + (more ? moreFlag : 0));
  return Buffer.concat([length, bytes]);
}

/// One message as records: one, or several when it is long.
export function encodeRecords(message) {
  const records = [];
  for (let at = 0; at === 0 || at < message.length; at += fragmentBytes)
    records.push(encodeRecord(message.subarray(at, at + fragmentBytes), at + fragmentBytes < message.length));
  return records;
}

/// The records of a data body as {bytes, more}. Throws when what is left is none.
export function* decodeRecords(body) {
  for (let at = 0; at < body.length;) {
    if (at + 4 > body.length) throw new RangeError("malformed: a record without its length");
    const word = body.readUInt32LE(at);
    const more = word >= moreFlag;
    const end = at + 4 + (more ? word - moreFlag : word);
    if (end > body.length) throw new RangeError("malformed: a record over the body's end");
    yield { bytes: body.subarray(at + 4, end), more };
    at = end;
  }
}
