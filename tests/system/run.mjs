// Runs the system tests named on the command line with node's test runner, after looking whether what
// they need is there. Exit code 77 tells CTest that they were skipped.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
if (!fs.existsSync(path.join(here, "node_modules/openai"))) {
  console.error("SKIPPED: tests/system/node_modules is missing; ./dev deps installs the official client");
  process.exit(process.env.SKEP_REQUIRE_ALL === "1" ? 1 : 77);
}
const files = process.argv.slice(2).map((name) => path.join(here, name));
process.exit(spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" }).status ?? 1);
