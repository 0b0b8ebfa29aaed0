import type { OwnedBytes } from "../core/base/bytes.ts";
import type { CallOptions } from "../core/base/call-options.ts";
import { EnvelockError } from "../core/base/errors.ts";
import type { SeekableSource } from "../core/stream/seekable-source.ts";
import type { StoredMetadata } from "./metadata.ts";

/** A stored object of which ranges can be read, with what stands beside it. */
export interface StoredSource extends SeekableSource {
  readonly metadata: StoredMetadata | undefined;
  /** The text of the object `NAME.instruction`, where Amazon's client kept the key there. */
  readonly instructionFile?: string | undefined;
}

/** The plaintext of a stored object, of which any part can be read. The caller closes it. */
export interface ForeignBlob {
  /** The name of the format, such as `azure-storage-2.1` or `s3-encryption-client-3`. */
  readonly format: string;

  /** Returns the plaintext's length. @throws as `read` */
  size(options?: CallOptions): Promise<number>;

  /**
   * Reads the plaintext from `start` to before `end`, cut at its end.
   *
   * @returns the bytes, in their own ArrayBuffer
   * @throws `invalid-argument` for a range that is none; `authentication-failed`; `malformed-envelope` if the source gives another number
   *   of bytes than it was asked for, or, with `detail` `source-changed`, if its ETag is another; `unavailable` with the source's own error
   *   as cause; `closed`
   */
  read(start: number, end: number, options?: CallOptions): Promise<OwnedBytes>;

  /** Reads like `read`, as a stream in bounded memory. */
  stream(start?: number, end?: number, options?: CallOptions): ReadableStream<OwnedBytes>;

  /** Ends the use of the key. Any later call throws `closed`. */
  close(): void;
}

/** A reader of one other format: `azureStorageEncryption`, `s3EncryptionClient`. */
export interface ForeignReader {
  /** Whether what stands beside an object says that this format encrypted it. Calls no key service. */
  recognises(object: Pick<StoredSource, "metadata" | "instructionFile">): boolean;
  /** Opens an object. */
  open(object: StoredSource, options?: CallOptions & { readonly expectedBytes?: number }): Promise<ForeignBlob>;
}

export function closedBlob(): EnvelockError {
  return new EnvelockError("closed", "this blob has been closed");
}
