import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./imports.ts";

export interface Manifest {
  readonly name: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Conditions>>;
  readonly imports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

interface Conditions {
  readonly types: string;
  readonly default: string;
}

/** An entry point that is code. Paths as package.json has them. */
export interface Entry extends Conditions {
  /** As users import it, such as `envelock/providers/local`. */
  readonly name: string;
}

export const MANIFEST: Manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

export const ENTRIES: readonly Entry[] = Object.entries(MANIFEST.exports).flatMap(([path, target]) =>
  typeof target === "string" ? [] : [{ name: MANIFEST.name + path.slice(1), ...target }],
);
