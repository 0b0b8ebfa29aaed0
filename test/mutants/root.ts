import { fileURLToPath } from "node:url";

/** A path from the root of the repository, made absolute. */
export function rootPath(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
