// Asks through the official clients, and reads what they show into one form for all APIs.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../system/", import.meta.url));
const OpenAI = require("openai").OpenAI;
const Anthropic = require("@anthropic-ai/sdk").Anthropic;

const creates = {
  chat: (clients) => clients.openai.chat.completions,
  completions: (clients) => clients.openai.completions,
  embeddings: (clients) => clients.openai.embeddings,
  responses: (clients) => clients.openai.responses,
  messages: (clients) => clients.anthropic.messages,
};

export function clientsAt(url) {
  const options = { apiKey: "any", maxRetries: 0, timeout: 20000 };
  return {
    openai: new OpenAI({ baseURL: `${url}/v1`, ...options }),
    anthropic: new Anthropic({ baseURL: url, ...options }),
  };
}

const plain = (value) => JSON.parse(JSON.stringify(value));

function errorOf(error) {
  const body = error.error?.error ?? error.error ?? {};
  const said = typeof body === "string" ? { message: body } : body;
  return { status: error.status, class: error.constructor.name, message: error.message, ...said };
}

/// What a client gets: `events` of a stream, else a `value`; `error` when it ends in one.
export async function ask(clients, door, body, headers = {}) {
  const got = { events: body.stream ? [] : undefined };
  try {
    const data = await creates[door](clients).create(body, { headers });
    if (body.stream) for await (const event of data) got.events.push(plain(event));
    else got.value = plain(data);
  } catch (error) {
    got.error = errorOf(error);
  }
  delete got.value?._request_id;
  return got;
}

const inputOf = (text) => {
  if (typeof text !== "string") return text ?? {};
  try {
    return JSON.parse(text || "{}");
  } catch {
    return text;
  }
};

// -- Streams put together --------------------------------------------------------------------------

const once = new Set(["id", "type", "name", "role", "index"]);

const partsOf = (content) => (typeof content === "string" ? [{ type: "text", text: content }] : content ?? []);

/// Adds a delta: texts grow, lists join, calls go by their index, `null` says nothing. A content is a
/// list as soon as one piece is.
function add(into, delta) {
  for (const [key, value] of Object.entries(delta)) {
    if (key === "tool_calls" && Array.isArray(value))
      for (const call of value) add(((into.tool_calls ??= [])[call.index ?? 0] ??= {}), call);
    else if (key === "content" && value !== null && (Array.isArray(value) || Array.isArray(into.content)))
      into.content = [...partsOf(into.content), ...partsOf(value)];
    else if (typeof value === "string" && typeof into[key] === "string" && !once.has(key)) into[key] += value;
    else if (Array.isArray(value)) into[key] = [...(into[key] ?? []), ...value];
    else if (value && typeof value === "object") add((into[key] ??= {}), value);
    else if (value !== null || !(key in into)) into[key] = once.has(key) ? into[key] || value : value;
  }
  return into;
}

function chatOf(chunks) {
  const whole = { choices: [] };
  for (const { choices, ...rest } of chunks) {
    for (const [key, value] of Object.entries(rest)) if (value !== null) whole[key] = value;
    for (const { index = 0, delta, ...choice } of choices ?? []) {
      const at = (whole.choices[index] ??= { index, message: {} });
      add(at.message, delta ?? {});
      if (choice.text !== undefined) at.text = (at.text ?? "") + choice.text;
      for (const key of ["finish_reason", "stop_reason", "stop_details"]) at[key] = choice[key] ?? at[key];
      if (choice.logprobs) add((at.logprobs ??= {}), choice.logprobs);
    }
  }
  return whole;
}

function messageOf(events) {
  let message = { content: [] };
  const texts = [];
  for (const event of events) {
    const block = message.content[event.index];
    if (event.type === "message_start") message = { ...event.message, content: [] };
    if (event.type === "content_block_start") message.content[event.index] = { ...event.content_block };
    if (event.type === "content_block_delta") {
      const { type, partial_json: json, citation, ...delta } = event.delta;
      if (type === "input_json_delta") texts[event.index] = (texts[event.index] ?? "") + json;
      else add(block, citation ? { citations: [citation] } : delta);
    }
    if (event.type === "message_delta") {
      const { delta, usage, type, ...rest } = event;
      Object.assign(message, delta, rest, { usage: { ...message.usage, ...usage } });
    }
  }
  texts.forEach((text, index) => (message.content[index].input = inputOf(text)));
  return message;
}

function responseOf(events) {
  const last = events.findLast((event) => event.response)?.response ?? {};
  const texts = events.filter((event) => event.type === "response.output_text.delta");
  if (last.status !== "in_progress") return last;
  return { ...last, output: [{ type: "message", content: [{ text: texts.map((event) => event.delta).join("") }] }] };
}

const together = { chat: chatOf, completions: chatOf, messages: messageOf, responses: responseOf };

/// The answer as if it had come whole.
export function wholeOf(door, got) {
  return got.value ?? together[door](got.events ?? []);
}

// -- One form --------------------------------------------------------------------------------------

const textOf = (content) => (typeof content === "string" ? content
  : (content ?? []).filter((part) => part.type === "text").map((part) => part.text).join(""));
const thoughtOf = (content) => (Array.isArray(content) ? content : [])
  .filter((part) => part.type === "thinking").flatMap((part) => part.thinking)
  .map((piece) => piece.text ?? piece).join("");
const finishes = {
  function_call: "tool_calls", model_length: "length", eos: "stop",
  end_turn: "stop", stop_sequence: "stop", max_tokens: "length", model_context_window_exceeded: "length",
  tool_use: "tool_calls", refusal: "content_filter", max_output_tokens: "length",
};
const finishOf = (word, calls) => {
  const finish = finishes[word] ?? (word || null);
  return finish === "stop" && calls.length > 0 ? "tool_calls" : finish;
};

const readers = {
  chat(answer) {
    const choice = answer.choices?.[0] ?? {}, message = choice.message ?? {}, { usage } = answer;
    const called = [...(message.tool_calls ?? []).filter(Boolean), ...(message.function_call?.name ? [{ function: message.function_call }] : [])];
    const calls = called.map((call) => (call.custom ? { name: call.custom.name, input: call.custom.input }
      : { name: call.function?.name, input: inputOf(call.function?.arguments) }));
    return {
      text: choice.text ?? textOf(message.content), refusal: message.refusal ?? "", calls,
      reasoning: message.reasoning_content ?? message.reasoning ?? thoughtOf(message.content),
      finish: finishOf(choice.finish_reason, calls),
      usage: usage && { input: usage.prompt_tokens, output: usage.completion_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0 },
    };
  },
  messages({ content = [], usage, stop_reason: reason }) {
    const calls = content.filter((block) => block.type === "tool_use").map(({ name, input }) => ({ name, input }));
    const cached = usage?.cache_read_input_tokens ?? 0, written = usage?.cache_creation_input_tokens ?? 0;
    return {
      text: textOf(content), refusal: "", reasoning: thoughtOf(content), calls, finish: finishOf(reason, calls),
      usage: usage && { input: usage.input_tokens + cached + written, output: usage.output_tokens, cached },
    };
  },
  responses({ output = [], usage, status, incomplete_details: details }) {
    const of = (type) => output.filter((item) => item.type === type);
    const parts = of("message").flatMap((item) => item.content);
    const calls = output.filter((item) => /^(function|custom_tool)_call$/.test(item.type))
      .map((item) => ({ name: item.name, input: item.input ?? inputOf(item.arguments) }));
    return {
      text: parts.map((part) => part.text ?? "").join(""), refusal: parts.map((part) => part.refusal ?? "").join(""), calls,
      reasoning: of("reasoning").flatMap((item) => [...(item.summary ?? []), ...(item.content ?? [])]).map((part) => part.text).join(""),
      finish: finishOf(status === "completed" ? "stop" : details?.reason ?? status, calls),
      usage: usage && { input: usage.input_tokens, output: usage.output_tokens, cached: usage.input_tokens_details?.cached_tokens ?? 0 },
    };
  },
};

/// What an answer says, whatever the API: text, reasoning, refusal, calls, finish, usage, error.
export function formOf(door, got) {
  const form = (readers[door] ?? readers.chat)(wholeOf(door, got));
  return got.error ? { ...form, error: got.error } : form;
}
