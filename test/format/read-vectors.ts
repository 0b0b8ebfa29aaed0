import { readFileSync } from "node:fs";
import type { VectorFile } from "./vector-file.ts";

export const VECTORS: URL = new URL("../../docs/vectors/", import.meta.url);

/** A file of docs/vectors/ as it stands in the repository. */
export function readVectors<Shape, Shared = object>(name: string): VectorFile<Shape, Shared> {
  return JSON.parse(readFileSync(new URL(name, VECTORS), "utf8"));
}
