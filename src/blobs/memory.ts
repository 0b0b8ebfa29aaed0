import { concatBytes, copyOf } from "../core/base/bytes.ts";
import { CALL_OPTIONS, callSignal } from "../core/base/call-options.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { BlobCondition, BlobContent, BlobEntry, BlobPage, BlobStore, BlobUpload, BlockRules, StoredBlob } from "./blob-store.ts";
import { sourceChanged } from "./failures.ts";

export interface MemoryBlobsOptions {
  /** The way in which headers are replaced. Defaults to `block`. */
  readonly header?: BlobStore["header"];
  /** Differences from blocks of 8 MiB with the header apart: for tests. */
  readonly blocks?: Partial<BlockRules>;
}

/**
 * Keeps blobs in this process: for tests, and for what need not outlive it.
 *
 * @throws `invalid-argument` for an unknown option
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { encryptedStore, memoryBlobs } from "envelock/blobs";
 *
 * export const blobsOf = (keyring: Keyring) => encryptedStore(keyring, memoryBlobs(), { context: (name) => ({ object: name }) });
 * ```
 */
export function memoryBlobs(options: MemoryBlobsOptions = {}): BlobStore {
  refuseUnknown(options, OPTIONS, "memoryBlobs");
  const { header = "block", blocks } = options;
  const kept = new Map<string, Kept>();
  let versions = 0;
  const nextEtag = (): string => `"${++versions}"`;
  const holds = (name: string, condition: BlobCondition): boolean => {
    if ("ifNone" in condition) return !kept.has(name);
    return "always" in condition || kept.get(name)?.etag === condition.ifMatch;
  };
  return {
    header,
    blocks: { ...BLOCKS, ...blocks },
    async create(name, content, call = {}) {
      callSignal(call, CALL_OPTIONS, "create")?.throwIfAborted();
      return upload((bytes, condition) => {
        if (!holds(name, condition)) return "changed";
        const etag = nextEtag();
        kept.set(name, { bytes, etag, content: { ...content, metadata: { ...content.metadata } } });
        return { etag };
      });
    },
    async open(name, firstBytes, call = {}) {
      callSignal(call, CALL_OPTIONS, "open")?.throwIfAborted();
      const found = kept.get(name);
      return found && stored(kept, name, found, { firstBytes, header, nextEtag });
    },
    async delete(name, { ifMatch, signal } = {}) {
      signal?.throwIfAborted();
      const found = kept.get(name);
      return found !== undefined && (ifMatch === undefined || found.etag === ifMatch) && kept.delete(name);
    },
    async list(page, call = {}) {
      callSignal(call, CALL_OPTIONS, "list")?.throwIfAborted();
      return pageOf(kept, page, () => true);
    },
    async findByKey(digest, page, call = {}) {
      callSignal(call, CALL_OPTIONS, "findByKey")?.throwIfAborted();
      const all = { ...page, limit: Number.POSITIVE_INFINITY };
      return { names: pageOf(kept, all, ({ content }) => content.keys.includes(digest)).map(({ name }) => name) };
    },
  };
}

interface Kept {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly content: BlobContent;
  readonly overlay?: { readonly header: Uint8Array; readonly blobEtag: string };
}

function upload(place: (bytes: Uint8Array, condition: BlobCondition) => { readonly etag: string } | "changed"): BlobUpload {
  const blocks = new Map<number, Uint8Array>();
  return {
    async put(index, bytes, call = {}) {
      callSignal(call, CALL_OPTIONS, "put")?.throwIfAborted();
      blocks.set(index, copyOf(bytes));
    },
    async commit(condition, call = {}) {
      callSignal(call, CALL_OPTIONS, "commit")?.throwIfAborted();
      return place(concatBytes(...[...blocks].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)), condition);
    },
    async abort() {
      blocks.clear();
    },
  };
}

interface Opening {
  readonly firstBytes: number;
  readonly header: BlobStore["header"];
  nextEtag(): string;
}

function stored(kept: Map<string, Kept>, name: string, opened: Kept, { firstBytes, header: way, nextEtag }: Opening): StoredBlob {
  const { bytes, etag, content, overlay } = opened;
  return {
    size: bytes.length,
    etag,
    metadata: content.metadata,
    first: copyOf(bytes.subarray(0, firstBytes)),
    ...(overlay !== undefined && { overlay }),
    async *read(start, end, { ifMatch, signal }) {
      for (let at = start; at < end; at += PIECE_BYTES) {
        signal?.throwIfAborted();
        const now = kept.get(name);
        if (now?.etag !== ifMatch) throw sourceChanged(name);
        yield copyOf(now.bytes.subarray(at, Math.min(at + PIECE_BYTES, end)));
      }
    },
    async replaceHeader({ ownHeaderBytes, header, keys }, call = {}) {
      callSignal(call, CALL_OPTIONS, "replaceHeader")?.throwIfAborted();
      const now = kept.get(name);
      if (now === undefined || now.etag !== etag || now.overlay !== overlay) return "changed";
      const next = { ...content, keys };
      if (way === "overlay") kept.set(name, { ...now, content: next, overlay: { header: copyOf(header), blobEtag: etag } });
      else kept.set(name, { bytes: concatBytes(header, bytes.subarray(ownHeaderBytes)), etag: nextEtag(), content: next });
      return "replaced";
    },
  };
}

function pageOf(
  kept: ReadonlyMap<string, Kept>,
  { prefix = "", after, limit }: BlobPage,
  isMeant: (found: Kept) => boolean,
): readonly BlobEntry[] {
  const names = [...kept.keys()].filter((name) => name.startsWith(prefix) && (after === undefined || name > after)).sort();
  const entries = names.flatMap((name) => {
    const found = kept.get(name);
    return found !== undefined && isMeant(found) ? [{ name, size: found.bytes.length, etag: found.etag }] : [];
  });
  return entries.slice(0, limit);
}

const OPTIONS: OptionNames<MemoryBlobsOptions> = { header: true, blocks: true };
const BLOCKS: BlockRules = {
  isHeaderApart: true,
  bytes: 8 * 1024 * 1024,
  leastBytes: 1,
  mostBytes: 2 ** 30,
  mostBlocks: 50_000,
  areEqual: false,
  inFlight: 4,
};
const PIECE_BYTES = 65536;
