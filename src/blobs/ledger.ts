import { toHex } from "../core/base/bytes.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { requireMethods } from "../core/base/options.ts";
import { type BlobKey, keysOf } from "./key-digest.ts";

/**
 * A place where an application notes which keys wrap which blob: a table with a row for each header of a blob. It only says where to look:
 * the header of the blob decides.
 *
 * A header is noted before it can come into force, and dropped when it certainly is out of force. What is left behind by a process that was
 * killed costs a look; no blob is ever under a key that is not noted. Writers and rewraps of one blob do not touch each other's notes. One
 * case is left to the application: a key that wraps the same bytes to the same header each time (A256KW), to which a blob returns while
 * another process still drops it.
 */
export interface BlobLedger {
  /** Notes a header under its digest, 32 hex digits, with the keys that wrap it. A note that is there already stays. */
  note(name: string, header: string, keys: readonly BlobKey[]): Promise<void>;
  /** Removes the note of one header of a blob, and no other. One that is not there is no error. */
  drop(name: string, header: string): Promise<void>;
  /** Gives the names of the blobs of which any header was noted with this key. */
  find(key: BlobKey): AsyncIterable<string>;
}

/** @throws `invalid-argument` */
export function checkedLedger(ledger: BlobLedger | undefined): BlobLedger | undefined {
  if (ledger === undefined) return undefined;
  if (typeof ledger !== "object" || ledger === null) throw invalidArgument("a ledger is an object with note, drop and find");
  requireMethods(ledger, ["note", "drop", "find"], "encryptedStore takes a ledger");
  return ledger;
}

/** Notes a header that may come into force. @throws what the ledger throws: the change must not be made then */
export async function noteHeader(ledger: BlobLedger | undefined, name: string, header: Uint8Array): Promise<void> {
  await ledger?.note(name, await digestOf(header), keysOf(header));
}

/** Drops a header that is out of force for good. A failure is no failure of the change, which was made: it costs a look. */
export async function dropHeader(ledger: BlobLedger | undefined, name: string, header: Uint8Array | undefined): Promise<void> {
  if (ledger === undefined || header === undefined) return;
  try {
    await ledger.drop(name, await digestOf(header));
  } catch {
    return;
  }
}

async function digestOf(header: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(header)))).slice(0, 32);
}
