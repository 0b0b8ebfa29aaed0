import { readFile } from "node:fs/promises";
import { EnvelockError } from "../core/base/errors.ts";
import { withoutMark } from "../core/base/text-mark.ts";

/** Returns a variable of the environment. An empty one counts as not set. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === "" ? undefined : value;
}

/** Returns the text of the file that a variable names; undefined if the variable is not set. @throws `invalid-argument` */
export async function environmentFile(name: string): Promise<string | undefined> {
  const path = environmentVariable(name);
  if (path === undefined) return undefined;
  try {
    return withoutMark(await readFile(path, "utf8"));
  } catch (cause) {
    throw new EnvelockError("invalid-argument", `the file that ${name} names cannot be read: ${path}`, { cause });
  }
}
