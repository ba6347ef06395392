// The Codex CLI with skep as its model provider: it runs a command the model asks for, and answers.
// SKEP_CODEX names the program, else it is looked for in PATH (npm i -g @openai/codex).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { LoopbackServer } from "./support/loopback_server.mjs";
import { SkepNode } from "./support/node.mjs";

/// Asks for one command, in the API it is asked in, then repeats what the command said.
class Model extends LoopbackServer {
  asked = [];

  serve(request, answer) {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      if (request.method === "GET") return answer.end('{"object":"list","data":[]}');
      const body = JSON.parse(text);
      this.asked.push({ path: request.url, body });
      answer.writeHead(200, { "content-type": "text/event-stream" });
      if (request.url.endsWith("/responses")) this.#response(answer, body);
      else this.#chat(answer, body);
    });
  }

  /// The tool that runs commands has had several names and forms.
  #call(tools) {
    const tool = tools.find((each) => /exec|shell/.test(each.name));
    const words = "echo the answer is $((40 + 2))";
    const asText = tool.parameters.properties.cmd !== undefined;
    return { name: tool.name, arguments: JSON.stringify(asText ? { cmd: words } : { command: ["bash", "-c", words] }) };
  }

  #chat(answer, body) {
    const send = (choices, usage = null) => answer.write(`data: ${JSON.stringify({
      id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", choices, usage })}\n\n`);
    const result = body.messages.find((message) => message.role === "tool");
    const delta = result ? { content: `It says: ${JSON.stringify(result.content)}` }
      : { tool_calls: [{ index: 0, id: "call_1", type: "function", function: this.#call(body.tools.map((tool) => tool.function)) }] };
    send([{ index: 0, delta: { role: "assistant", ...delta }, finish_reason: null }]);
    send([{ index: 0, delta: {}, finish_reason: result ? "stop" : "tool_calls" }]);
    send([], { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 });
    answer.end("data: [DONE]\n\n");
  }

  #response(answer, body) {
    let sequence_number = 0;
    const send = (type, members) => answer.write(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence_number++, ...members })}\n\n`);
    const response = (status, output) => ({
      id: `resp_${this.asked.length}`, object: "response", created_at: 1, model: "m", status, output,
      usage: status === "completed" ? { input_tokens: 5, output_tokens: 5, total_tokens: 10 } : null });
    const result = body.input.find((item) => item.type === "function_call_output");
    const item = result
      ? { id: "msg_1", type: "message", role: "assistant", status: "completed",
          content: [{ type: "output_text", text: `It says: ${JSON.stringify(result.output)}`, annotations: [] }] }
      : { id: "fc_1", type: "function_call", status: "completed", call_id: "call_1", ...this.#call(body.tools) };
    send("response.created", { response: response("in_progress", []) });
    send("response.output_item.done", { output_index: 0, item });
    send("response.completed", { response: response("completed", [item]) });
    answer.end();
  }
}

let model;
let node;
let folder;

before(async () => {
  model = await new Model().start();
  node = await SkepNode.start(`
[log]
level = "error"
[provider.chats]
base_url = "${model.url}"
[provider.responds]
base_url = "${model.url}"
responses = "true"
`);
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-codex-"));
});

after(async () => {
  assert.equal(await node.stop(), 0);
  await model.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

/// What `codex exec` prints at its end, and how it ended.
function codex(name) {
  fs.writeFileSync(path.join(folder, "config.toml"), `
model = "${name}/m"
model_provider = "skep"
[model_providers.skep]
name = "skep"
base_url = "${node.url}/v1"
wire_api = "responses"
env_key = "SKEP_KEY"
`);
  return new Promise((done) => {
    const flags = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
    const child = spawn(process.env.SKEP_CODEX ?? "codex", [...flags, "What is the answer?"], {
      cwd: folder, stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, CODEX_HOME: folder, SKEP_KEY: "any", HOME: folder },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (piece) => (stdout += piece));
    child.stderr.on("data", (piece) => (stderr += piece));
    child.on("exit", (code) => done({ code, stdout, stderr }));
  });
}

for (const [name, api] of [["chats", "/v1/chat/completions"], ["responds", "/v1/responses"]])
  test(`codex runs a command and answers, where the provider is asked at ${api}`, { timeout: 60000 }, async () => {
    const { code, stdout, stderr } = await codex(name);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /It says: .*the answer is 42/);
    assert.equal(model.asked.at(-1).path, api);
  });
