import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { blindIndexVectors } from "./blind-index-vectors.ts";
import { bodyOf, bodyVectors, THREE_CHUNKS_BYTES, THREE_CHUNKS_FILE } from "./body-vectors.ts";
import { compositeVectors } from "./composite-vectors.ts";
import { contextVectors } from "./context-vectors.ts";
import { derivationVectors, localWrapVectors, wrapAadVectors } from "./derivation-vectors.ts";
import { envelopeVectors } from "./envelope-vectors.ts";
import { examples } from "./examples.ts";
import { fieldVectors } from "./field-vectors.ts";
import { hpkeWrapVectors } from "./hpke-vectors.ts";
import { keyRecordVectors } from "./key-record-vectors.ts";
import { otherWrapVectors } from "./other-wrap-vectors.ts";
import { rangeVectors } from "./range-vectors.ts";
import { successionVectors } from "./succession-vectors.ts";
import { tokenVectors } from "./token-vectors.ts";
import { formatVectorFile } from "./vector-file.ts";
import { join } from "./writer.ts";

// `npm run vectors` writes docs/vectors/ and the examples of docs/format.md; test/docs/format-page.test.ts holds them to it.

export const VECTORS_FOLDER: string = fileURLToPath(new URL("../../docs/vectors/", import.meta.url));
export const FORMAT_PAGE: string = fileURLToPath(new URL("../../docs/format.md", import.meta.url));

/** Every file of docs/vectors/ that is generated, by name. */
export function generatedFiles(): ReadonlyMap<string, string | Uint8Array> {
  return new Map<string, string | Uint8Array>([
    ["contexts.json", formatVectorFile(contextVectors())],
    ["derivations.json", formatVectorFile(derivationVectors())],
    ["wrap-aads.json", formatVectorFile(wrapAadVectors())],
    ["local-wraps.json", formatVectorFile(localWrapVectors())],
    ["hpke-wraps.json", formatVectorFile(hpkeWrapVectors())],
    ["key-records.json", formatVectorFile(keyRecordVectors())],
    ["successions.json", formatVectorFile(successionVectors())],
    ["envelopes.json", formatVectorFile(envelopeVectors())],
    ["tokens.json", formatVectorFile(tokenVectors())],
    ["blind-indexes.json", formatVectorFile(blindIndexVectors())],
    ["other-wraps.json", formatVectorFile(otherWrapVectors())],
    ["composite-wraps.json", formatVectorFile(compositeVectors())],
    ["fields.json", formatVectorFile(fieldVectors())],
    ["ranges.json", formatVectorFile(rangeVectors())],
    ["bodies.json", formatVectorFile(bodyVectors())],
    [THREE_CHUNKS_FILE, join(bodyOf(THREE_CHUNKS_BYTES))],
  ]);
}

/** The page with every example renewed. */
export function withExamples(page: string): string {
  const byName = examples();
  const used = new Set<string>();
  const renewed = page.replace(EXAMPLE, (_, name: string) => {
    const text = byName[name];
    if (text === undefined) throw new Error(`no example is called ${name}`);
    used.add(name);
    return `<!-- example: ${name} -->\n\`\`\`text\n${text}\n\`\`\``;
  });
  const unused = Object.keys(byName).filter((name) => !used.has(name));
  if (unused.length > 0) throw new Error(`the page shows no example called ${unused.join(", ")}`);
  return renewed;
}

const EXAMPLE = /<!-- example: ([a-z0-9-]+) -->\n```text\n[^`]*```/g;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, contents] of generatedFiles()) writeFileSync(`${VECTORS_FOLDER}${name}`, contents);
  writeFileSync(FORMAT_PAGE, withExamples(readFileSync(FORMAT_PAGE, "utf8")));
}
