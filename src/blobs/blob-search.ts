import type { CallOptions } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { inspectEnvelope } from "../core/keyring/inspect.ts";
import { type BlobHead, headOf } from "./blob-head.ts";
import type { BlobEntry, BlobPage, BlobStore, StoredBlob } from "./blob-store.ts";
import type { BlobLedger } from "./encrypted-store-options.ts";
import { type BlobKey, keyDigest } from "./key-digest.ts";
import { repeated } from "./retries.ts";

/** Where blobs are looked for. */
export interface BlobPlaces {
  readonly store: BlobStore;
  readonly ledger: BlobLedger | undefined;
  readonly clock: Clock;
}

/** Opens a blob with its first bytes. Undefined if there is none. */
export async function openedIn(
  { store, clock }: Pick<BlobPlaces, "store" | "clock">,
  name: string,
  signal: AbortSignal | undefined,
): Promise<StoredBlob | undefined> {
  return await repeated(() => store.open(name, FIRST_READ_BYTES, optional(signal)), { clock, signal });
}

/** Opens a blob, and reads the header that is in force. Undefined if there is none. */
export async function headIn({ store, clock }: BlobPlaces, name: string, signal: AbortSignal | undefined): Promise<BlobHead | undefined> {
  return await repeated(
    async () => {
      const blob = await store.open(name, FIRST_READ_BYTES, optional(signal));
      return blob === undefined ? undefined : await headOf(name, blob, signal);
    },
    { clock, signal },
  );
}

/** Lists what a store holds, page by page. */
export async function* listed(
  { store, clock }: BlobPlaces,
  { prefix, after }: Omit<BlobPage, "limit">,
  signal: AbortSignal | undefined,
): AsyncGenerator<BlobEntry, void, undefined> {
  let last = after;
  for (;;) {
    const page: BlobPage = { limit: PAGE, ...(prefix !== undefined && { prefix }), ...(last !== undefined && { after: last }) };
    const entries = await repeated(() => store.list(page, optional(signal)), { clock, signal });
    requirePage(entries, last);
    yield* entries;
    last = entries.at(-1)?.name;
    if (entries.length < PAGE) return;
  }
}

/**
 * Finds the blobs whose header is meant. Candidates come from the index of the store or the ledger if a key is searched for, else from the
 * list; what is no envelope is passed over.
 */
export async function* found(
  places: BlobPlaces,
  wrappedBy: BlobKey | undefined,
  page: Omit<BlobPage, "limit">,
  isMeant: (head: BlobHead) => boolean | Promise<boolean>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  for await (const name of candidates(places, wrappedBy, page, signal)) {
    const head = await headIn(places, name, signal).catch((error: unknown) => foreign(error));
    if (head !== undefined && (await isMeant(head))) yield name;
  }
}

async function* candidates(
  places: BlobPlaces,
  wrappedBy: BlobKey | undefined,
  page: Omit<BlobPage, "limit">,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  const { store, ledger, clock } = places;
  if (wrappedBy !== undefined && store.findByKey !== undefined) {
    const digest = await keyDigest(wrappedBy);
    let next: string | undefined;
    do {
      const from = { ...(page.prefix !== undefined && { prefix: page.prefix }), ...(next !== undefined && { after: next }) };
      const found = await repeated(async () => await store.findByKey?.(digest, from, optional(signal)), { clock, signal });
      yield* found?.names ?? [];
      next = found?.next;
    } while (next !== undefined);
  } else if (wrappedBy !== undefined && ledger !== undefined) {
    for await (const name of ledger.find(wrappedBy)) if (page.prefix === undefined || name.startsWith(page.prefix)) yield name;
  } else {
    for await (const { name } of listed(places, page, signal)) yield name;
  }
}

/** Lists the keys that wrap the data key of a header. */
export function keysOf(header: Uint8Array): readonly BlobKey[] {
  return inspectEnvelope(header, header.length).recipients.map(({ provider, keyId }) => ({ provider, keyId }));
}

/** A page that does not go on would be asked for again and again. Names with characters from U+D800 on have two orders. */
function requirePage(entries: readonly BlobEntry[], after: string | undefined): void {
  const isList = Array.isArray(entries) && entries.every((entry) => typeof entry?.name === "string");
  const end = isList ? entries.at(-1)?.name : undefined;
  const goesOn = end === undefined || after === undefined || end > after || (end !== after && /[\ud800-\uffff]/.test(end + after));
  if (isList && goesOn) return;
  throw new EnvelockError("provider-failure", "the store gave a page of a list that is none, or that does not go on", {
    hint: "`blobConformance` of envelock/blobs/conformance finds what a store lacks",
  });
}

/** A blob that is no envelope is none of ours: a search passes over it. */
function foreign(error: unknown): undefined {
  if (EnvelockError.is(error) && error.code === "malformed-envelope") return undefined;
  throw error;
}

export function optional(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}

/** Header, salt, commitment and often the first chunk. With it a read of 1 MiB stays within 33 KiB of what was asked for, wherever it begins. */
const FIRST_READ_BYTES = 16_368;
const PAGE = 1000;
