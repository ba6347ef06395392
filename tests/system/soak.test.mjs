// A minute of mixed load: everything is answered and memory stays flat.
import assert from "node:assert/strict";
import { test } from "node:test";

import { SkepNode } from "./support/node.mjs";

const seconds = Number(process.env.SKEP_SOAK_SECONDS ?? 60);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

test("memory is flat after the first third", { timeout: (seconds + 60) * 1000 }, async () => {
  const node = await SkepNode.start(`
[log]
level = "warn"
[cache]
memory_bytes = 4194304
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 2
tokens_per_s = 20000
failure_rate = 0.01
[provider.spare]
kind = "simulated"
[agent.assistant]
models = ["sim/small", "spare/small"]
cache = "all"
`);
  const end = Date.now() + seconds * 1000;
  const memory = [];
  let answered = 0;
  const lane = async (number) => {
    for (let n = 0; Date.now() < end; n += 1) {
      const stream = (n + number) % 3 === 0;
      if (n % 50 === 49) {
        // A client that leaves in the middle.
        const control = new AbortController();
        const left = fetch(`${node.url}/v1/chat/completions`, {
          method: "POST", signal: control.signal,
          body: JSON.stringify({ model: "assistant", stream: true, messages: [{ role: "user", content: `${number} ${n}` }] }),
        });
        const answer = await left;
        await answer.body.getReader().read();
        control.abort();
        continue;
      }
      const answer = await node.chat("assistant", `question ${n % 5000} of ${number % 4}`, { stream });
      assert.equal(answer.status, 200);
      const text = await answer.text();
      assert.ok(stream ? text.endsWith("data: [DONE]\n\n") : JSON.parse(text).choices.length === 1);
      answered += 1;
    }
  };
  const watch = async () => {
    while (Date.now() < end) {
      memory.push(node.residentMb());
      await new Promise((next) => setTimeout(next, 250));
    }
  };
  await Promise.all([watch(), ...Array.from({ length: 24 }, (_, n) => lane(n))]);
  const third = Math.floor(memory.length / 3);
  const middle = median(memory.slice(third, 2 * third));
  const last = median(memory.slice(2 * third));
  assert.ok(answered > seconds * 100, `${answered} answers`);
  // The cache's bound and the allocator's slack are reached in the first third.
  assert.ok(last < middle * 1.1 + 2, `${middle} MB, then ${last} MB`);
  assert.equal(await node.metric("skep_http_active"), 1);
  assert.equal(await node.stop(), 0);
});
