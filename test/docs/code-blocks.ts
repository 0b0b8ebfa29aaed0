import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A fenced block of a page. */
export interface CodeBlock {
  /** Path from the root of the repository. */
  readonly page: string;
  /** The line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** What follows the language on the fence. */
  readonly note: string;
  readonly code: readonly string[];
}

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** Every page of the repository that somebody may copy code from. */
export function pages(): readonly string[] {
  const inDocs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" }).map((name) => `docs/${name}`);
  const named = [...readdirSync(ROOT), ...inDocs, "providers/README.md", "bench/README.md"];
  return named.filter((name) => name.endsWith(".md") && existsSync(join(ROOT, name)));
}

/** @throws if a block is not closed */
export function blocksOf(page: string): readonly CodeBlock[] {
  const lines = readFileSync(join(ROOT, page), "utf8").split("\n");
  const blocks: CodeBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, indent = "", fence, language = "", note = ""] = FENCE.exec(lines[at] ?? "") ?? [];
    if (fence === undefined) continue;
    const end = lines.findIndex((line, index) => index > at && line.trim() === fence);
    if (end === -1) throw new Error(`${page}:${at + 1}: this block is not closed`);
    const code = lines.slice(at + 1, end).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
    blocks.push({ page, line: at + 1, language, note, code });
    at = end;
  }
  return blocks;
}

/**
 * Writes a block as a module whose line numbers are the page's. A first line such as `// sealer-key.ts` names the file, so that
 * other blocks of the page can import it.
 *
 * @returns the path of the module
 */
export function writeBlock(folder: string, { page, line, code }: CodeBlock): string {
  const name = /^\/\/ ([\w-]+\.ts)$/.exec(code[0] ?? "")?.[1] ?? `line-${line}.ts`;
  const path = join(folder, page, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${"\n".repeat(line)}${code.join("\n")}\nexport {};\n`);
  return path;
}

const FENCE = /^( *)(`{3,}|~{3,})([\w-]*) *(.*)$/;
