import type { CallOptions } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { type BlobHead, headOf, isOwnBlob } from "./blob-head.ts";
import type { BlobEntry, BlobPage, BlobStore, StoredBlob } from "./blob-store.ts";
import { type BlobKey, keyDigest } from "./key-digest.ts";
import type { BlobLedger } from "./ledger.ts";
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

/**
 * Reads the header of a blob that may be of another program. `foreign`: nothing marks it as an envelope, neither its first byte nor its
 * metadata. Undefined if there is none.
 *
 * @throws what is wrong with a blob that is marked; the store's errors
 */
export async function markedHeadIn(
  places: Pick<BlobPlaces, "store" | "clock">,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BlobHead | "foreign" | undefined> {
  const blob = await openedIn(places, name, signal);
  if (blob === undefined) return undefined;
  if (!isOwnBlob(blob)) return "foreign";
  return await repeated(() => headOf(name, blob, signal), { clock: places.clock, signal });
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
 * Finds the blobs whose header is meant, and those whose header cannot be read: which keys they need is not known, and they must not end the
 * search. Candidates come from the index of the store or the ledger if a key is searched for, else from the list. A blob that is no envelope
 * is passed over.
 */
export async function* found(
  places: BlobPlaces,
  wrappedBy: BlobKey | undefined,
  page: Omit<BlobPage, "limit">,
  isMeant: (head: BlobHead) => boolean | Promise<boolean>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  for await (const name of candidates(places, wrappedBy, page, signal)) {
    const head = await headOrFault(places, name, signal);
    if (head !== undefined && (head === "unreadable" || (await isMeant(head)))) yield name;
  }
}

/** Returns undefined if there is no such blob, or it is no envelope. @throws what is wrong with the store, not with this blob */
async function headOrFault(
  places: BlobPlaces,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BlobHead | "unreadable" | undefined> {
  try {
    const head = await markedHeadIn(places, name, signal);
    return head === "foreign" ? undefined : head;
  } catch (error) {
    const isOfThisBlob = EnvelockError.is(error) && FAULTS_OF_A_BLOB.has(error.code) && !FAULTS_OF_THE_CALLER.has(error.detail ?? "");
    if (isOfThisBlob) return "unreadable";
    throw error;
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

export function optional(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}

/** Header, salt, commitment and often the first chunk. With it a read of 1 MiB stays within 33 KiB of what was asked for, wherever it begins. */
const FIRST_READ_BYTES = 16_368;
const PAGE = 1000;
const FAULTS_OF_A_BLOB: ReadonlySet<string> = new Set(["malformed-envelope", "unsupported-version", "access-denied", "provider-failure"]);
/** Details of `access-denied` that hold for every blob. */
const FAULTS_OF_THE_CALLER: ReadonlySet<string> = new Set(["credential", "clock"]);
