import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import type { BlobDescription, BlobStore } from "../../blobs/index.ts";
import { checkedName } from "../../blobs/name.ts";
import { repeated } from "../../blobs/retries.ts";
import { systemClock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { usageError } from "../failure.ts";
import { STANDARD_STREAM } from "../input.ts";
import { textAt } from "./blobs-at.ts";
import type { BatchFile, StorePlace } from "./store-kind.ts";
import { blobNameOf, hasWildcards } from "./store-place.ts";

/** Where in a store the envelopes of files go. */
export interface StoreTarget {
  /** The name that the envelope of a file gets, and what stands encrypted beside it. */
  of(file: BatchFile): { readonly name: string; readonly describe: BlobDescription };
  /** The argument that names a blob there. */
  textOf(name: string): string;
}

/**
 * Reads an `--out` in a store: the name of a blob, or what the names of several begin with.
 *
 * @param isHidden whether blobs get random names
 * @throws `invalid-argument`
 */
export function targetIn(place: StorePlace, isMany: boolean, isHidden: boolean): StoreTarget {
  const name = blobNameOf(place);
  if (hasWildcards(place)) throw usageError("--out has no wildcards", "a backslash before * or ? makes it part of the name");
  const isPrefix = name === "" || name.endsWith("/");
  if ((isMany || isHidden) && !isPrefix)
    throw usageError("of several files or hidden names, --out ends with a slash", `give it as ${place.text}/`);
  return {
    of({ source, place: inside }) {
      if (isPrefix && !isHidden && source === STANDARD_STREAM)
        throw usageError("standard input has no name", `give the whole name with --out ${place.text}<name>`);
      const own = inside.replaceAll("\\", "/"); // as paths are parted on Windows
      const describe = source === STANDARD_STREAM ? {} : { name: isHidden ? own : basename(own) };
      return { name: isHidden ? `${name}${randomUUID()}` : isPrefix ? `${name}${own}` : name, describe };
    },
    textOf: (blob) => textAt(place, blob),
  };
}

/** Fails before any work is done where a name is taken. The condition of the commit holds whatever happens meanwhile. */
export async function requireFree(store: BlobStore, name: string): Promise<void> {
  const found = await repeated(() => store.open(checkedName(name), 1), { clock: systemClock, signal: undefined });
  if (found === undefined) return;
  throw new EnvelockError("invalid-argument", `${name} exists`, { detail: "blob-exists", hint: "--force replaces it" });
}
