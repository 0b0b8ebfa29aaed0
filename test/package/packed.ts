import { execFileSync } from "node:child_process";
import { ROOT } from "./imports.ts";

/** A packed package. */
export interface Packed {
  /** The archive's file name. */
  readonly filename: string;
  /** What is in it, as paths from the package's root. */
  readonly files: readonly string[];
}

/** Packs what `npm publish` would send, from what `npm run build` made, into a folder. */
export function pack(folder: string): Packed {
  return packed(["--pack-destination", folder]);
}

/** What a package would hold, without making it. */
export function packList(): readonly string[] {
  return packed(["--dry-run"]).files;
}

function packed(options: readonly string[]): Packed {
  const stdout = execFileSync("npm", ["pack", "--json", "--ignore-scripts", ...options], { cwd: ROOT, encoding: "utf8", stdio: "pipe" });
  const [{ filename, files }]: [{ readonly filename: string; readonly files: readonly { readonly path: string }[] }] = JSON.parse(stdout);
  return { filename, files: files.map(({ path }) => path) };
}
