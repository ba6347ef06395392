// Runs the system tests named on the command line with node's test runner, after looking whether what
// they need is there. Exit code 77 tells CTest that they were skipped.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const works = (program, ...args) => spawnSync(program, args, { stdio: "ignore" }).status === 0;

/// A bridge, a host on it and a filter, in a network namespace that is gone again at once.
const probe = "ip link add br0 type bridge && ip link add p0 type veth peer name p1 && nft add table bridge probe";

/// Test files that need more than a node: what is missing, or nothing.
const missing = {
  "cluster-etcd.test.mjs": () => (works("etcd", "--version") ? null : "etcd (Debian: etcd-server)"),
  "codex.test.mjs": () => (works(process.env.SKEP_CODEX ?? "codex", "--version")
    ? null : "the Codex CLI (npm i -g @openai/codex, some 400 MB; or SKEP_CODEX=its path)"),
  "foreign_agent.test.mjs": () =>
    (fs.existsSync(path.join(here, "../../examples/foreign-agent/node_modules/zeromq"))
      ? null : "the packages of examples/foreign-agent; ./dev deps installs them"),
  "redis.test.mjs": () => (works("redis-server", "--version") ? null : "redis-server (Debian: redis-server)"),
  "netns.test.mjs": () => {
    if (process.getuid() !== 0) return "root, for network namespaces";
    for (const [program, from] of [["ip", "iproute2"], ["nft", "nftables"], ["unshare", "util-linux"]])
      if (!works("sh", "-c", `command -v ${program}`)) return `${program} (Debian: ${from})`;
    return works("unshare", "--net", "sh", "-c", probe) ? null : "the right to make bridges and filters in a network namespace";
  },
};

/// In CI (SKEP_CI=1, set by .ci/run) what can be installed must be there; rights a machine may not
/// give are no fault of it, and nobody is made to download the Codex CLI.
function skip(why, required) {
  console.error(`SKIPPED: ${why}`);
  process.exit(required && process.env.SKEP_CI === "1" ? 1 : 77);
}

for (const client of ["openai", "openai-6", "@anthropic-ai/sdk", "ai", "@langchain/openai", "@openai/agents"])
  if (!fs.existsSync(path.join(here, "node_modules", client)))
    skip(`tests/system/node_modules/${client} is missing; ./dev deps installs the official clients`, true);
const names = process.argv.slice(2);
if (names.length === 0) {
  console.error("usage: node run.mjs TEST_FILE...");
  process.exit(2);
}
for (const name of names) {
  const lack = missing[name]?.();
  if (lack) skip(`${name} needs ${lack}`, name !== "netns.test.mjs" && name !== "codex.test.mjs");
}
// A test that fails before it stops its node does not keep the others waiting for their time-out.
const forced = works(process.execPath, "--test-force-exit", "--version") ? ["--test-force-exit"] : [];
const tests = [process.execPath, ...forced, "--test", ...names.map((name) => path.join(here, name))];
// In a network namespace of its own, which it knows by its name so that it never works in another one.
const own = ["unshare", "--net", "sh", "-c", 'SKEP_OWN_NETNS=$(readlink /proc/self/ns/net) exec "$@"', "sh"];
const [program, ...args] = names.includes("netns.test.mjs") ? [...own, ...tests] : tests;
process.exit(spawnSync(program, args, { stdio: "inherit" }).status ?? 1);
