import type { CallOptions } from "../core/base/call-options.ts";
import { callSignal } from "../core/base/call-options.ts";
import type { Context } from "../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, readArgument, requireMethods } from "../core/base/options.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { checkedBytes } from "../core/resilience/checks.ts";
import { otherLength } from "./expected-length.ts";
import type { ForeignBlob, ForeignReader, StoredSource } from "./foreign-blob.ts";

export interface MigratingOpenOptions extends CallOptions {
  /** The context of the object, if it is an envelope. */
  readonly context?: Context;
  /** The plaintext's length, where it is known from elsewhere. */
  readonly expectedBytes?: number;
}

/** Reads objects while a store moves from another format to envelopes. */
export interface MigratingReader {
  /**
   * Opens an object of either kind, and says of which kind it is: `format` is `envelope`, or the name of the other format.
   *
   * What stands beside the object decides. An object that has no encryption data of the other format must be an envelope: nothing is ever
   * returned undecrypted.
   *
   * @throws as `Keyring.openSeekable` and as the other format's reader
   */
  open(object: StoredSource, options?: MigratingOpenOptions): Promise<ForeignBlob>;
}

/** One object to move. */
export interface ObjectToMove {
  readonly name: string;
  readonly object: StoredSource;
  /** The plaintext's length, where it is known from elsewhere. */
  readonly expectedBytes?: number;
}

export interface ReencryptOptions extends CallOptions {
  /** Makes the context of an object that is an envelope already. */
  readonly context?: (name: string) => Context;
  /**
   * Stores the plaintext as an envelope in place of the object, under its ETag, without the metadata of the other format: `put` of an
   * `encryptedStore` does.
   */
  readonly put: (name: string, plaintext: ReadableStream<Uint8Array>, about: MovedObject) => Promise<unknown>;
}

/** What `put` is told of an object. */
export interface MovedObject {
  readonly format: string;
  readonly expectedBytes: number;
  /** The ETag of the version that is read, if the source names it. */
  readonly etag?: string;
  readonly signal?: AbortSignal;
}

export type ReencryptOutcome =
  | { readonly name: string; readonly outcome: "moved"; readonly format: string; readonly bytes: number }
  | { readonly name: string; readonly outcome: "envelope" }
  | { readonly name: string; readonly outcome: "failed"; readonly error: EnvelockError };

/**
 * Makes a reader for the time of a move.
 *
 * @param keyring opens the envelopes
 * @param foreign opens the objects of the other format
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import type { Keyring } from "envelock";
 * import { type AzureStorageEncryption, migratingReader, type StoredSource } from "envelock/azure-storage-encryption";
 *
 * export async function read(keyring: Keyring, old: AzureStorageEncryption, object: StoredSource): Promise<Uint8Array> {
 *   const blob = await migratingReader(keyring, old).open(object, { context: { object: "invoices/7.pdf" } });
 *   console.log(blob.format); // envelope, azure-storage-2.0, ...
 *   return await blob.read(0, 4096);
 * }
 * ```
 */
export function migratingReader(keyring: Keyring, foreign: ForeignReader): MigratingReader {
  requireMethods(keyring, ["openSeekable"], "migratingReader takes a Keyring first");
  const hint = "azureStorageEncryption and s3EncryptionClient make one";
  requireMethods(foreign, ["recognises", "open"], "migratingReader takes a reader of the other format", hint);
  return {
    async open(object, options = {}) {
      const signal = callSignal(options, OPEN_OPTIONS, "open");
      const { context } = options;
      const expectedBytes = checkedBytes(options.expectedBytes, "expectedBytes");
      const call = signal === undefined ? {} : { signal };
      const given: unknown = object;
      if (typeof given !== "object" || given === null) throw invalidArgument("a stored object has metadata, size and read");
      if (readArgument("a stored object", () => foreign.recognises(object)))
        return await foreign.open(object, { ...call, ...(expectedBytes !== undefined && { expectedBytes }) });
      const blob = await keyring.openSeekable(object, { ...call, ...(context && { context }) });
      const size = expectedBytes === undefined ? undefined : await blob.size(call);
      if (expectedBytes !== undefined && size !== expectedBytes) throw otherLength(`${size}`, expectedBytes);
      return {
        format: "envelope",
        size: (options) => blob.size(options),
        read: (start, end, options) => blob.read(start, end, options),
        stream: (start, end, options) => blob.stream(start, end, options),
        close: () => blob.close(),
      };
    },
  };
}

/**
 * Moves objects to envelopes, one after the other. An object that fails is reported and stepped over. A run that was killed is run again:
 * what is an envelope already is left as it is.
 *
 * @returns one outcome for each object, for one iteration; the work goes on while it is iterated
 * @throws `invalid-argument`; the iteration throws the signal's reason, and what `objects` throws
 * @example
 * ```ts
 * import type { EncryptedStore } from "envelock/blobs";
 * import { type MigratingReader, type ObjectToMove, reencryptObjects } from "envelock/azure-storage-encryption";
 *
 * export async function move(reader: MigratingReader, objects: AsyncIterable<ObjectToMove>, store: EncryptedStore): Promise<void> {
 *   const outcomes = reencryptObjects(reader, objects, {
 *     context: (name) => ({ object: name }),
 *     put: (name, plaintext, { expectedBytes, etag }) => store.put(name, plaintext, { expectedBytes, ...(etag ? { ifMatch: etag } : {}) }),
 *   });
 *   for await (const { name, outcome } of outcomes) console.log(name, outcome);
 * }
 * ```
 */
export function reencryptObjects(
  reader: MigratingReader,
  objects: AsyncIterable<ObjectToMove> | Iterable<ObjectToMove>,
  options: ReencryptOptions,
): AsyncGenerator<ReencryptOutcome, void, undefined> {
  const signal = callSignal(options, REENCRYPT_OPTIONS, "reencryptObjects");
  const { put, context } = options;
  requireMethods(reader, ["open"], "reencryptObjects takes a reader", "`migratingReader` makes one.");
  if (!readArgument("objects", () => isIterable(objects))) throw invalidArgument("objects must be an iterable of objects to move");
  if (typeof put !== "function") throw invalidArgument("put must be a function that stores a plaintext as an envelope");
  if (context !== undefined && typeof context !== "function") throw invalidArgument("context must be a function of a name");
  const move = async ({ name, object, expectedBytes }: ObjectToMove): Promise<ReencryptOutcome> => {
    const call = signal === undefined ? {} : { signal };
    const blob = await reader.open(object, {
      ...call,
      ...(context !== undefined && { context: context(name) }),
      ...(expectedBytes !== undefined && { expectedBytes }),
    });
    try {
      if (blob.format === "envelope") return { name, outcome: "envelope" };
      const bytes = await blob.size(call);
      const { etag } = object;
      await put(name, blob.stream(0, bytes, call), {
        format: blob.format,
        expectedBytes: bytes,
        ...call,
        ...(etag !== undefined && { etag }),
      });
      return { name, outcome: "moved", format: blob.format, bytes };
    } finally {
      blob.close();
    }
  };
  return (async function* () {
    for await (const each of objects) {
      signal?.throwIfAborted();
      try {
        yield await move(each);
      } catch (error) {
        signal?.throwIfAborted();
        yield { name: each.name, outcome: "failed", error: typed(error) };
      }
    }
  })();
}

function isIterable(given: unknown): boolean {
  return typeof given === "object" && given !== null && (Symbol.asyncIterator in given || Symbol.iterator in given);
}

function typed(error: unknown): EnvelockError {
  return EnvelockError.is(error) ? error : new EnvelockError("provider-failure", "the object could not be moved", { cause: error });
}

const OPEN_OPTIONS: OptionNames<MigratingOpenOptions> = { signal: true, context: true, expectedBytes: true };
const REENCRYPT_OPTIONS: OptionNames<ReencryptOptions> = { signal: true, context: true, put: true };
