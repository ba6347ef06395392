// The messages this peer speaks, in the order of messages/schema.json.
import { flag, integer, list, message, octets, record, text, u64 } from "./codec.mjs";

// -- core -----------------------------------------------------------------------------------------

export const failureReply = message(0x0001, 4, {
  code: integer, detail: text, retryAfterMs: integer, provider: text, status: integer, tries: integer,
  param: text, providerType: text, providerCode: text, providerApi: integer, providerBody: text,
});

/// The codes a foreign agent has a use for; messages/errc.hpp has them all.
export const code = {
  overloaded: 1,
  unavailable: 2,
  deadlineExceeded: 4,
  actorFailed: 6,
  nodeDown: 7,
  notFound: 8,
  badRequest: 10,
  malformed: 13,
  unexpectedMessage: 15,
  shuttingDown: 25,
};

// -- conversations --------------------------------------------------------------------------------

const toolCall = record({ index: integer, id: text, type: text, name: text, arguments: text, extra: text });
const chatMessage = record({ role: text, content: text, rest: text, toolCalls: list(toolCall) });
const tokenUsage = record({ prompt: integer, completion: integer, cachedPrompt: integer, estimated: flag, rest: text });
const nativeHeader = record({ name: text, value: text });
const answerOrigin = record({
  provider: text, attempts: integer, cache: integer, cacheTtlS: integer, cacheKey: text, similarity: integer,
  limits: list(nativeHeader),
});
const chatChoice = record({
  index: integer, role: text, content: text, contentNull: flag, finishReason: text, messageRest: text, rest: text,
  toolCalls: list(toolCall),
}, { role: "assistant" });

// What was written in an API itself, beside the typed reading (1: chat completions, 2: Anthropic's Messages, 3:
// Responses).
const nativeText = record({ api: integer, text });
const nativeRequest = record({ api: integer, body: text, headers: list(nativeHeader), provider: text,
  untyped: text, task: integer });

export const chatRequest = message(0x0101, 4, {
  model: text, messages: list(chatMessage), parameters: text, stream: flag, cache: integer, cacheMaxAgeS: integer,
  native: list(nativeRequest),
});
export const chatReply = message(0x0102, 5, {
  id: text, created: integer, model: text, choices: list(chatChoice), usage: tokenUsage, rest: text, origin: answerOrigin,
  native: nativeText,
});
export const chatOpen = message(0x0103, 4, {
  id: text, created: integer, model: text, rest: text, origin: answerOrigin, native: nativeText,
});
export const chatChunk = message(0x0104, 3, {
  index: integer, content: text, deltaRest: text, finishReason: text, rest: text,
  toolCalls: list(toolCall), native: nativeText,
});
export const chatEnd = message(0x0105, 3, { usage: tokenUsage, origin: answerOrigin });

/// What a chunk takes from the stream's credit. It must be what skep counts, or the credit that comes
/// back does not match what was spent: 4 bytes of index, and 32 for each text beside its own bytes; a
/// list that is not empty 24, and each of its calls what a chunk with such texts costs.
export function costOfChunk(chunk) {
  const cost = (texts) => texts.reduce((sum, each) => sum + 32 + Buffer.byteLength(each ?? ""), 4);
  const calls = chunk.toolCalls ?? [];
  return calls.reduce((sum, { id, type, name, arguments: given, extra }) => sum + cost([id, type, name, given, extra]),
    cost([chunk.content, chunk.deltaRest, chunk.finishReason, chunk.rest]) + (calls.length > 0 ? 24 : 0));
}

// -- nodes among themselves -----------------------------------------------------------------------

const spokenMessage = record({ tag: integer, version: integer });
const member = record({ name: text, incarnation: u64, address: text, weight: integer, draining: flag }, { weight: 1 });
const clusterView = record({ number: integer, proposer: text, members: list(member) });

export const nodeHello = message(0x0401, 1, {
  cluster: text, node: text, address: text, incarnation: u64, attempt: integer, token: u64, echo: u64,
  configDigest: u64, schemaHash: u64, speaks: list(spokenMessage),
});
export const nodeRefusal = message(0x0402, 1, { node: text, reason: integer, text, incarnation: u64 });
export const linkBeat = message(0x0403, 1, { pingUs: u64, echoUs: u64, heldUs: u64, state: octets },
                                { state: "" });
export const memberState = message(0x0404, 2, {
  self: member, hears: list(text), installed: clusterView, vote: clusterView, cannotVote: flag,
});
export const nodeAnnounce = message(0x0405, 1, { names: list(text) });
export const nodeDrainRequest = message(0x0406, 1, {});

/// What a hello lists.
export const spoken = [
  failureReply, chatRequest, chatReply, chatOpen, chatChunk, chatEnd, nodeAnnounce, nodeDrainRequest,
].map(({ tag, version }) => ({ tag, version }));
