import { isTextOfAtMost } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { formHint, type WrongForm } from "../http/form-hint.ts";

/**
 * A path of names separated by slashes, as the server has them for namespaces and mounts.
 *
 * @throws `invalid-argument` for anything that a URL would need to escape
 */
export function checkedPath(what: string, path: unknown): string {
  if (isTextOfAtMost(MAX_PATH_BYTES, path) && /^[\w.~-]+(?:\/[\w.~-]+)*$/.test(path) && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(path)) return path;
  throw invalidArgument(
    `${what} has letters, digits, dots, hyphens and underscores, with slashes between names`,
    formHint(path, WRONG_PATHS, "copy it from the path that the server's own command uses, without v1 and without the other parts"),
  );
}

/** @throws `invalid-argument` */
export function checkedKeyName(name: unknown): string {
  const path = checkedPath("key", name);
  if (path.includes("/"))
    throw invalidArgument(
      "key is the name of one key: the mount has an option of its own",
      "give what is before the last slash as `mount`",
    );
  return path;
}

const MAX_PATH_BYTES = 200;
const WRONG_PATHS: readonly WrongForm[] = [
  [/^(?:vault|https?):\/\//, "give the name alone: the address of the server has an option of its own"],
  [/^\/|\/$/, "leave out the slash at its beginning or end"],
];
