// Reads exchanges: those of this project (set/*.json, in README.md) and recordings of real servers.
import fs from "node:fs";
import path from "node:path";

const doors = [
  [/\/chat\/completions$/, "chat"],
  [/\/messages$/, "messages"],
  [/\/responses$/, "responses"],
  [/\/completions$/, "completions"],
  [/\/embeddings$/, "embeddings"],
];

/// The kind of provider that speaks a door's API, and what it is asked there.
export const native = { chat: "openai", embeddings: "openai", messages: "anthropic" };

/// One server-sent event: a text stands for itself, an object is what its data says.
function eventText(event, provider) {
  if (typeof event === "string") return `${event}\n\n`;
  const name = provider === "anthropic" ? `event: ${event.type}\n` : "";
  return `${name}data: ${JSON.stringify(event)}\n\n`;
}

function own(file, raw) {
  const { request, response } = raw;
  const { events, body } = response;
  const text = events ? events.map((event) => eventText(event, raw.provider)).join("")
    : typeof body === "string" ? body : JSON.stringify(body);
  const type = events ? "text/event-stream" : "application/json";
  return { ...raw, file, response: { status: response.status ?? 200, text, headers: { "content-type": type, ...response.headers } }, request };
}

/// What a recording shows is what an official client gets from it without skep.
function recorded(file, raw) {
  const { body, headers, status } = raw.response;
  const type = raw.stream && status < 300 ? "text/event-stream" : "application/json";
  const provider = raw.api === "anthropic-messages" ? "anthropic" : "openai";
  return { about: raw.id, provider, file, equal: "all", request: raw.request, response: { status, text: body, headers: { "content-type": type, ...headers } } };
}

function complete(exchange) {
  const { request, response, file } = exchange;
  const door = doors.find(([pattern]) => pattern.test(request.path.split("?")[0]))?.[1];
  const stream = request.body.stream === true;
  const fails = response.status >= 300 || exchange.show?.error !== undefined;
  return { known: {}, ...exchange, door, stream, fails, id: path.basename(file, ".json") };
}

/// All exchanges of a folder whose API skep asks of a provider in the same form.
export function load(folder) {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
  return files.map((name) => {
    const file = path.join(folder, name);
    const raw = JSON.parse(fs.readFileSync(file, "utf8"));
    return complete(raw.recorded ? recorded(file, raw) : own(file, raw));
  }).filter((exchange) => exchange.show || native[exchange.door] === exchange.provider);
}
