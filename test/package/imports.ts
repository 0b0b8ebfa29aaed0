import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** One file that imports another. */
export interface Edge {
  readonly from: string;
  readonly to: string;
}

/** An import or re-export of a source file. `to` is a path from the root for files of this repository and for `#engine`, else a package. */
export interface Import extends Edge {
  /** Gone after compilation. */
  readonly isType: boolean;
}

/** Paths from the root. Not of hidden folders, in which other tests work. */
export function sourceFiles(folder: string): readonly string[] {
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".ts") && !/(^|\/)\./.test(name)).map((name) => `${folder}/${name}`);
}

/**
 * Every import of a file, found by the forms that the formatter leaves: one statement begins a line and ends in `from "…";`.
 *
 * @throws if a line looks like an import and was not understood, or a dynamic import names no literal
 */
export function importsOf(from: string): readonly Import[] {
  const text = readFileSync(join(ROOT, from), "utf8").replace(COMMENT_LINE, "");
  const statements = [...text.matchAll(STATEMENT)].map(([, kind = "", names = "", specifier = ""]) => {
    const isType = kind.includes("type") || (names !== "" && names.split(",").every((name) => /^\s*(type\s.*)?$/s.test(name)));
    return { from, to: resolved(from, specifier), isType };
  });
  const dynamic = [...text.matchAll(DYNAMIC)].map(([, specifier = ""]) => ({ from, to: resolved(from, specifier), isType: false }));
  const expected = [...text.matchAll(/^.*\bfrom "[^"]+";$/gm)].length + [...text.matchAll(/^import "/gm)].length;
  if (statements.length !== expected) throw new Error(`${from}: ${expected} imports, ${statements.length} understood`);
  if (dynamic.some(({ to }) => to === "")) throw new Error(`${from}: a dynamic import must name a literal`);
  return [...statements, ...dynamic];
}

/** Each cycle once, from where it is first met. */
export function cyclesIn(imports: readonly Edge[]): readonly string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
    if (done.has(file) || trail.includes(file)) return;
    for (const { to } of imports.filter(({ from }) => from === file)) visit(to, [...trail, file]);
    done.add(file);
  };
  for (const { from } of imports) visit(from, []);
  return cycles;
}

function resolved(from: string, specifier: string): string {
  const internal = INTERNAL[specifier];
  if (internal !== undefined) return internal;
  return specifier.startsWith(".") ? join(dirname(from), specifier) : specifier;
}

/** What package.json's import map stands for. */
const INTERNAL: Readonly<Record<string, string>> = {
  "#engine": "src/core/crypto/engine/engine.ts",
  "#lanes": "src/core/stream/lanes/lanes.ts",
  "#sha2": "src/core/base/sha2/sha2.ts",
  "#md5": "src/blobs/md5/md5.ts",
  "#fetch": "src/blobs/fetch/fetch.ts",
};
const STATEMENT = /^(import|import type|export|export type) (?:\{([^}]*)\}|\* as \w+|\*|\w+)? ?(?:from )?"([^"]+)";$/gm;
const DYNAMIC = /\bimport\((?:\s*"([^"]+)")?/g;
const COMMENT_LINE = /^\s*(?:\/\/|\/\*|\*).*$/gm;
