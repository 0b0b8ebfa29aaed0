import { isTextOfAtMost } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { formHint, type WrongForm } from "../http/form-hint.ts";

/**
 * The whole name of a key, as it was configured: a project has an id and a number, and only the one that is configured is compared with.
 *
 * @throws `invalid-argument`
 */
export function checkedKeyName(key: unknown): string {
  if (isTextOfAtMost(MAX_NAME_BYTES, key) && KEY_NAME.test(key)) return key;
  throw invalidArgument(
    "key is the whole name of a key: projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>",
    formHint(key, WRONG_KEYS, "copy it from: gcloud kms keys list --keyring <ring> --location <location> --format 'value(name)'"),
  );
}

/** @throws `invalid-argument` */
export function checkedLocation(location: unknown): string {
  if (isTextOfAtMost(MAX_NAME_BYTES, location) && LOCATION.test(location)) return location;
  throw invalidArgument("location is projects/<project>/locations/<location>");
}

/** The number of the version that a name names, if it is one of `key`: in the one spelling that the service writes. */
export function versionOf(name: unknown, key: string): number | undefined {
  const before = `${key}/cryptoKeyVersions/`;
  if (typeof name !== "string" || !name.startsWith(before)) return undefined;
  const [digits] = /^[1-9]\d{0,8}$/.exec(name.slice(before.length)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

export function versionName(key: string, version: number): string {
  return `${key}/cryptoKeyVersions/${version}`;
}

/** Ids with a domain have a colon: `example.com:project`. */
const KEY_NAME = /^projects\/[a-z0-9][a-z0-9.:-]{0,99}\/locations\/[a-z0-9-]{1,63}\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63}$/;
const LOCATION = /^projects\/[a-z0-9][a-z0-9.:-]{0,99}\/locations\/[a-z0-9-]{1,63}$/;
const MAX_NAME_BYTES = 480;
const WRONG_KEYS: readonly WrongForm[] = [
  [/\/cryptoKeyVersions\b/, "leave the version out"],
  [/^(?:https?:)?\/\//, "leave out the host: the name begins with projects/"],
  [/^\/|\/$/, "leave out the slash at its beginning or end"],
  [/\/keyRings\/[^/]+$/, "this is a key ring: add /cryptoKeys/<key>"],
  [/^projects\/[^/]*[A-Z]/, "give the id or the number of the project, not its display name"],
];
