// How the fields of skep's messages stand in msgpack: a message is an array of its fields in order.
// Arrays grow at their end only, so missing fields take their default and unknown ones are skipped.
import { decode, encode } from "@msgpack/msgpack";

// Strings stay bytes until a field says that they are text: a beat's state is none. Integers of 64
// bits come as BigInt, smaller ones as Number.
const reading = { useBigInt64: true, rawStrings: true };
const writing = { useBigInt64: true };

function check(fine, what) {
  if (!fine) throw new TypeError(`malformed: ${what}`);
}

const isInteger = (raw) => typeof raw === "bigint" || Number.isInteger(raw);

/// An integer that always fits a double: counts, codes, times.
export const integer = {
  empty: () => 0,
  read(raw) {
    check(isInteger(raw) && Number.isSafeInteger(Number(raw)), "an integer is expected");
    return Number(raw);
  },
  // Above 32 bits a Number would be written as a double, which skep refuses.
  write: (value) => (value > 0xffffffff ? BigInt(value) : value),
};

/// An integer of 64 bits as BigInt: tokens, incarnations, clocks.
export const u64 = {
  empty: () => 0n,
  read(raw) {
    check(isInteger(raw) && raw >= 0, "an integer is expected");
    return BigInt(raw);
  },
  write: (value) => (value <= 0xffffffffn ? Number(value) : value),
};

export const flag = {
  empty: () => false,
  read(raw) {
    check(typeof raw === "boolean", "a truth value is expected");
    return raw;
  },
  write: (value) => value,
};

/// A string that holds bytes; only ever read here.
export const octets = {
  empty: () => new Uint8Array(),
  read(raw) {
    check(raw instanceof Uint8Array, "bytes are expected");
    return raw;
  },
  write: (value) => value,
};

export const text = {
  empty: () => "",
  read: (raw) => Buffer.from(octets.read(raw)).toString("utf8"),
  write: (value) => value,
};

export const list = (item) => ({
  empty: () => [],
  read(raw) {
    check(Array.isArray(raw), "a list is expected");
    return raw.map(item.read);
  },
  write: (values) => values.map(item.write),
});

export const optional = (item) => ({
  empty: () => null,
  read: (raw) => (raw === null ? null : item.read(raw)),
  write: (value) => (value === null ? null : item.write(value)),
});

/// An object of named fields; `defaults` says where a field's default is not its type's.
export function record(fields, defaults = {}) {
  const names = Object.keys(fields);
  const fallback = (name) => defaults[name] ?? fields[name].empty();
  const make = (value) => Object.fromEntries(names.map((name, n) => [name, value(name, n)]));
  return {
    empty: () => make(fallback),
    read(raw) {
      check(Array.isArray(raw), "a record is expected");
      return make((name, n) => (n < raw.length ? fields[name].read(raw[n]) : fallback(name)));
    },
    write: (value) => names.map((name) => fields[name].write(value[name] ?? fallback(name))),
  };
}

/// A message: a record with the tag that names it on the wire.
export function message(tag, version, fields, defaults) {
  const type = record(fields, defaults);
  return {
    ...type,
    tag,
    version,
    encode: (value = {}) => Buffer.from(encode(type.write(value), writing)),
    decode: (bytes) => type.read(decode(bytes, reading)),
  };
}
