// Known shortfalls are marks in the exchange's file; this takes off those that have become wrong.
import fs from "node:fs";

/// With SKEP_EXCHANGES_UNMARK=1 takes the mark of a check out of the exchange's file; gives whether it did.
export function unmark({ file, known }, check) {
  if (process.env.SKEP_EXCHANGES_UNMARK !== "1") return false;
  const { [check]: _, ...left } = known;
  delete known[check];
  const line = Object.keys(left).length > 0 ? `"known": ${JSON.stringify(left)},\n  ` : "";
  fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/"known": \{.*\},\n  /, line));
  return true;
}
