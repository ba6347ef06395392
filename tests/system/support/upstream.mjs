// A small OpenAI-compatible upstream written for the tests. What it does with a request is decided by
// the model's name: "echo", "tools", "status-429", "cut", "stall", "slow-first", "flood", "hold".
import { LoopbackServer } from "./loopback_server.mjs";

const usage = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 };

function completion(body, message, finish = "stop") {
  return {
    id: "chatcmpl-up", object: "chat.completion", created: 1700000000, model: body.model,
    system_fingerprint: "fp_test", usage,
    choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }],
  };
}

const toolCall = { id: "call_1", type: "function", function: { name: "add", arguments: '{"a":1}' } };

const errors = {
  400: { message: "bad parameter", type: "invalid_request_error", param: "temperature", code: null },
  401: { message: "wrong key", type: "invalid_request_error", param: null, code: "invalid_api_key" },
  404: { message: "no such model", type: "invalid_request_error", param: null, code: "model_not_found" },
  429: { message: "slow down", type: "requests", param: null, code: "rate_limit_exceeded" },
  500: { message: "it broke", type: "server_error", param: null, code: null },
};

export class Upstream extends LoopbackServer {
  constructor() {
    super();
    this.requests = [];
    this.aborted = 0; // Requests whose caller went away before the answer was complete.
    this.written = 0; // Bytes of "flood" streams handed to the socket.
    this.down = false;
  }

  serve(request, response) {
    response.on("close", () => {
      if (!response.writableFinished) this.aborted += 1;
    });
    if (request.method === "GET" && request.url === "/v1/models")
      return this.#json(response, 200, { object: "list", data: [{ id: "echo", object: "model", created: 1, owned_by: "up" }] });
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      const body = JSON.parse(text);
      this.requests.push({ body, headers: request.headers });
      if (this.down) return this.#json(response, 500, { error: errors[500] });
      if (body.model.startsWith("status-")) return this.#fail(response, Number(body.model.slice(7)));
      if (body.stream) return this.#stream(response, body);
      return this.#whole(response, body);
    });
  }

  #json(response, status, value, headers = {}) {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(value));
  }

  #fail(response, status) {
    this.#json(response, status, { error: errors[status] }, status === 429 ? { "retry-after": "30" } : {});
  }

  #whole(response, body) {
    if (body.model === "hold") return undefined;
    if (body.model === "tools")
      return this.#json(response, 200, completion(body, { content: null, tool_calls: [toolCall] }, "tool_calls"));
    const text = "you said: " + body.messages.at(-1).content;
    return this.#json(response, 200, completion(body, { content: text }));
  }

  async #stream(response, body) {
    if (body.model === "hold") return;
    response.writeHead(200, { "content-type": "text/event-stream" });
    const chunk = (delta, finish = null) => {
      const value = {
        id: "chatcmpl-up", object: "chat.completion.chunk", created: 1700000000, model: body.model,
        system_fingerprint: "fp_test", choices: [{ index: 0, delta, finish_reason: finish }],
      };
      return response.write(`data: ${JSON.stringify(value)}\n\n`);
    };
    if (body.model === "stall") response.flushHeaders();
    chunk({ role: "assistant", content: "" });
    if (body.model === "flood") return this.#flood(response, chunk);
    if (body.model === "tools") {
      chunk({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "add", arguments: "" } }] });
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] });
      chunk({ tool_calls: [{ index: 0, function: { arguments: "1}" } }] });
      chunk({}, "tool_calls");
    } else {
      const words = ("you said: " + body.messages.at(-1).content).split(/(?<= )/);
      for (const [index, word] of words.entries()) {
        chunk({ content: word });
        await new Promise((next) => setImmediate(next));
        if (body.model === "cut" && index === 1) return response.socket.destroy();
        if (body.model === "stall" && index === 1) return undefined;
      }
      chunk({}, "stop");
    }
    if (body.stream_options?.include_usage)
      response.write(`data: ${JSON.stringify({ id: "chatcmpl-up", object: "chat.completion.chunk", created: 1700000000, model: body.model, choices: [], usage })}\n\n`);
    response.end("data: [DONE]\n\n");
    return undefined;
  }

  // Sends without end, as fast as the caller takes it.
  #flood(response, chunk) {
    const text = "x".repeat(1000);
    const more = () => {
      while (!response.destroyed) {
        this.written += text.length;
        if (!chunk({ content: text })) {
          response.once("drain", more);
          return;
        }
      }
    };
    more();
  }
}
