// A provider for the suites of whole client libraries. It speaks both APIs and is as strict as the real
// ones: a member it does not know, a tool's result without its call or a choice without tools is a 400.
//
// The words of the last question say what comes back. A tool that is named there is called, one after
// the other in the order of their names' places; then a schema gets a value it accepts; then tools'
// results are quoted, else the question. "status-429" is refused with that status, "hold" is begun and
// never ended, "break" is begun and ends in the API's error event.
import { LoopbackServer } from "./loopback_server.mjs";
import { SkepNode } from "./node.mjs";
import { providerConfig } from "./simulate.mjs";

const chatMembers = new Set(`audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
  max_tokens messages metadata modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key
  prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream
  stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options`.split(/\s+/));
const messagesMembers = new Set(`cache_control container inference_geo max_tokens messages metadata model output_config
  service_tier stop_sequences stream system temperature thinking tool_choice tools top_k top_p`.split(/\s+/));
const chatParts = {
  system: ["text"], developer: ["text"], tool: ["text"], assistant: ["text", "refusal"],
  user: ["text", "image_url", "input_audio", "file"],
};

class Refused extends Error {
  constructor(message, param = null, status = 400) {
    super(message);
    Object.assign(this, { param, status });
  }
}

const textOf = (content) => (typeof content === "string"
  ? content : (content ?? []).filter((part) => part.type === "text").map((part) => part.text).join(""));

/// A value that a JSON schema accepts.
function sample(schema = {}) {
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return sample(schema.anyOf[0]);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object")
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, sample(inner)]));
  if (type === "array") return [sample(schema.items)];
  return { integer: 7, number: 7, boolean: true, null: null }[type] ?? "Paris";
}

/// The schema that is told in words to a model which is asked for JSON.
const toldSchema = (words) => JSON.parse(/\{.*"properties".*\}/.exec(words)?.[0] ?? "{}");

function known(body, members, complaint) {
  for (const name of Object.keys(body)) if (!members.has(name)) throw new Refused(complaint(name), name);
}

function checkChat(body) {
  known(body, chatMembers, (name) => `Unrecognized request argument supplied: ${name}`);
  for (const name of ["tool_choice", "parallel_tool_calls"])
    if (name in body && !body.tools?.length) throw new Refused(`'${name}' is only allowed when 'tools' are specified.`, name);
  if (body.response_format?.type === "json_object" && !/json/i.test(JSON.stringify(body.messages)))
    throw new Refused("'messages' must contain the word 'json' in some form", "messages");
  let open = [];
  for (const [at, message] of body.messages.entries()) {
    const allowed = chatParts[message.role];
    if (!allowed) throw new Refused(`Invalid value: '${message.role}'.`, `messages[${at}].role`);
    for (const part of Array.isArray(message.content) ? message.content : [])
      if (!allowed.includes(part.type)) throw new Refused(`Invalid value: '${part.type}'.`, `messages[${at}].content`);
    if (message.role === "tool") {
      if (!open.includes(message.tool_call_id)) throw new Refused("a tool message must follow its tool_calls", `messages[${at}].role`);
      open = open.filter((id) => id !== message.tool_call_id);
    } else if (open.length) {
      throw new Refused("tool_calls must be followed by tool messages for each", `messages[${at}].role`);
    }
    open.push(...(message.tool_calls ?? []).map((call) => call.id));
  }
}

function checkMessages(body, headers, counts) {
  if (!headers["anthropic-version"]) throw new Refused("anthropic-version: header is required");
  known(body, messagesMembers, (name) => `${name}: Extra inputs are not permitted`);
  for (const member of ["max_tokens", "stream", "metadata", "temperature"])
    if (counts && member in body) throw new Refused(`${member}: Extra inputs are not permitted`);
  if (!counts && !body.max_tokens) throw new Refused("max_tokens: Field required");
  let open = [];
  for (const [at, message] of body.messages.entries()) {
    if (!["user", "assistant"].includes(message.role)) throw new Refused(`messages.${at}.role: Input should be 'user' or 'assistant'`);
    const blocks = Array.isArray(message.content) ? message.content : [];
    const results = blocks.filter((block) => block.type === "tool_result").map((block) => block.tool_use_id);
    if (open.some((id) => !results.includes(id)) || results.some((id) => !open.includes(id)))
      throw new Refused(`messages.${at}: tool_result blocks must answer the tool_use blocks before`);
    open = blocks.filter((block) => block.type === "tool_use").map((block) => block.id);
  }
}

/// What both APIs mean: the question, what tools were called since and said, and what is offered.
function readChat(body) {
  const from = body.messages.findLastIndex((message) => message.role === "user");
  const since = body.messages.slice(from);
  return {
    question: textOf(since[0]?.content),
    called: since.flatMap((message) => (message.tool_calls ?? []).map((call) => call.function.name)),
    results: since.filter((message) => message.role === "tool").map((message) => textOf(message.content)),
    tools: (body.tools ?? []).map((tool) => ({ name: tool.function.name, schema: tool.function.parameters })),
    forced: body.tool_choice === "required" ? "any" : body.tool_choice?.function?.name,
    schema: body.response_format?.type === "json_object"
      ? toldSchema(body.messages.map((message) => textOf(message.content)).join("\n")) : body.response_format?.json_schema?.schema,
  };
}

function readMessages(body) {
  const asks = (message) => message.role === "user" && textOf(message.content) !== "";
  const since = body.messages.slice(body.messages.findLastIndex(asks));
  const blocks = since.flatMap((message) => (Array.isArray(message.content) ? message.content : []));
  const { tool_choice: choice } = body;
  return {
    question: textOf(since[0]?.content),
    called: blocks.filter((block) => block.type === "tool_use").map((block) => block.name),
    results: blocks.filter((block) => block.type === "tool_result").map((block) => textOf(block.content)),
    tools: (body.tools ?? []).map((tool) => ({ name: tool.name, schema: tool.input_schema })),
    forced: choice?.type === "any" ? "any" : choice?.name,
    schema: body.output_config?.format?.schema
      ?? (/JSON object/.test(textOf(body.system)) ? toldSchema(textOf(body.system) + textOf(since[0]?.content)) : undefined),
  };
}

/// The text or the tool call that answers.
function answerTo({ question, called, results, tools, forced, schema }) {
  const place = (tool) => question.indexOf(tool.name);
  const named = tools.filter((tool) => place(tool) >= 0 && !called.includes(tool.name)).sort((a, b) => place(a) - place(b));
  const first = forced && !called.length ? tools.find((tool) => forced === "any" || tool.name === forced) : undefined;
  const tool = named[0] ?? first;
  if (tool) return { call: { name: tool.name, arguments: sample(tool.schema) } };
  if (schema) return { text: JSON.stringify(sample(schema)) };
  if (results.length) return { text: `The tools said: ${results.join(", ")}` };
  return { text: `You said: ${question}` };
}

const pieces = (text) => text.match(/.{1,8}/gs) ?? [];

export class StrictUpstream extends LoopbackServer {
  requests = []; // As {path, headers, body}.
  aborted = 0; // Callers that went away before their answer was complete.

  serve(request, response) {
    response.on("close", () => {
      if (!response.writableFinished) this.aborted += 1;
    });
    if (request.method === "GET") return this.#json(response, 200, { data: ["small", "large"].map((id) => ({ id, type: "model" })) });
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      const chat = request.url.endsWith("/chat/completions");
      const body = JSON.parse(text);
      this.requests.push({ path: request.url, headers: request.headers, body });
      try {
        this.#answer(chat, body, request.headers, response);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.#refuse(chat, error, response);
      }
    });
  }

  #answer(chat, body, headers, response) {
    const counts = this.requests.at(-1).path.endsWith("/count_tokens");
    if (chat) checkChat(body);
    else checkMessages(body, headers, counts);
    if (counts) return this.#json(response, 200, { input_tokens: 11 });
    const asked = chat ? readChat(body) : readMessages(body);
    const status = /status-(\d+)/.exec(asked.question)?.[1];
    if (status) throw new Refused("refused as asked", null, Number(status));
    const ends = ["hold", "break"].find((word) => asked.question.includes(word));
    const answer = { id: `${this.requests.length}`, model: body.model, ends, ...answerTo(asked) };
    if (body.stream) (chat ? streamChat : streamMessages)(body, answer, response);
    else if (ends !== "hold") this.#json(response, 200, (chat ? wholeChat : wholeMessage)(answer));
  }

  #json(response, status, value, headers = {}) {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(value));
  }

  #refuse(chat, { message, param, status }, response) {
    const type = status === 429 ? "rate_limit_error" : "invalid_request_error";
    const error = chat ? { error: { message, type, param, code: null } } : { type: "error", error: { type, message } };
    this.#json(response, status, error, status === 429 ? { "retry-after": "60" } : {});
  }
}

const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
const toolCall = ({ id, call }) =>
  ({ id: `call_${id}`, type: "function", function: { name: call.name, arguments: JSON.stringify(call.arguments) } });

function wholeChat(answer) {
  const said = answer.call ? { content: null, tool_calls: [toolCall(answer)] } : { content: answer.text };
  return {
    id: `chatcmpl-${answer.id}`, object: "chat.completion", created: 1700000000, model: answer.model, usage,
    choices: [{ index: 0, message: { role: "assistant", refusal: null, ...said }, finish_reason: answer.call ? "tool_calls" : "stop" }],
  };
}

function streamChat(body, answer, response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const write = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  const chunk = (choices, extra = {}) => write({
    id: `chatcmpl-${answer.id}`, object: "chat.completion.chunk", created: 1700000000, model: answer.model, choices, ...extra,
  });
  const delta = (value, finish_reason = null) => chunk([{ index: 0, delta: value, finish_reason }]);
  delta({ role: "assistant", content: answer.call ? null : "" });
  if (answer.call) {
    const { function: { name, arguments: whole }, ...call } = toolCall(answer);
    delta({ tool_calls: [{ index: 0, ...call, function: { name, arguments: "" } }] });
    for (const piece of pieces(whole)) delta({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
  } else {
    for (const piece of pieces(answer.text)) delta({ content: piece });
  }
  if (answer.ends === "hold") return;
  if (answer.ends === "break") {
    write({ error: { message: "the engine broke", type: "server_error", param: null, code: null } });
    return void response.end();
  }
  delta({}, answer.call ? "tool_calls" : "stop");
  if (body.stream_options?.include_usage) chunk([], { usage });
  response.end("data: [DONE]\n\n");
}

const blockOf = ({ id, call, text }) =>
  (call ? { type: "tool_use", id: `toolu_${id}`, name: call.name, input: call.arguments } : { type: "text", text });
const messageOf = (answer, extra) => ({
  id: `msg_${answer.id}`, type: "message", role: "assistant", model: answer.model, content: [], stop_reason: null,
  stop_sequence: null, usage: { input_tokens: 11, output_tokens: 1 }, ...extra,
});

function wholeMessage(answer) {
  return messageOf(answer, {
    content: [blockOf(answer)], stop_reason: answer.call ? "tool_use" : "end_turn", usage: { input_tokens: 11, output_tokens: 5 },
  });
}

function streamMessages(body, answer, response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const write = (type, value) => response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...value })}\n\n`);
  write("message_start", { message: messageOf(answer) });
  const block = blockOf(answer);
  write("content_block_start", { index: 0, content_block: answer.call ? { ...block, input: {} } : { type: "text", text: "" } });
  for (const piece of pieces(answer.call ? JSON.stringify(block.input) : block.text))
    write("content_block_delta", {
      index: 0, delta: answer.call ? { type: "input_json_delta", partial_json: piece } : { type: "text_delta", text: piece },
    });
  if (answer.ends === "hold") return;
  if (answer.ends === "break") {
    write("error", { error: { type: "overloaded_error", message: "the engine broke" } });
    return void response.end();
  }
  write("content_block_stop", { index: 0 });
  write("message_delta", { delta: { stop_reason: answer.call ? "tool_use" : "end_turn", stop_sequence: null }, usage: { output_tokens: 5 } });
  write("message_stop", {});
  response.end();
}

/// A node above `upstream` as its provider "up" of this kind, which gets what OpenAI's own host gets.
export function startAbove(upstream, kind) {
  const provider = `attempts_max = 1${kind === "openai" ? '\nextensions = "drop"' : ""}`;
  const at = { url: new URL(upstream.url).origin };
  return SkepNode.start(providerConfig(kind, at, { provider }), { env: { UP_KEY: "k" } });
}
