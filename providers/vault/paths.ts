import { isTextOfAtMost } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";

/**
 * A path of names separated by slashes, as the server has them for namespaces and mounts.
 *
 * @throws `invalid-argument` for anything that a URL would need to escape
 */
export function checkedPath(what: string, path: unknown): string {
  if (isTextOfAtMost(MAX_PATH_BYTES, path) && /^[\w.~-]+(?:\/[\w.~-]+)*$/.test(path) && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(path)) return path;
  throw invalidArgument(`${what} has letters, digits, dots, hyphens and underscores, with slashes between names`);
}

/** @throws `invalid-argument` */
export function checkedKeyName(name: unknown): string {
  const path = checkedPath("key", name);
  if (path.includes("/")) throw invalidArgument("key is the name of one key: the mount has an option of its own");
  return path;
}

const MAX_PATH_BYTES = 200;
