import type { Context } from "../context.ts";
import type { LaneCount } from "./lanes/lanes.ts";

export interface StreamOptions {
  /** What the stream belongs to, beside the keyring's context. The same must be given to decrypt. Never stored. */
  readonly context?: Context;
  /** Ends the stream, both sides, with the signal's reason. Handed to the providers too. */
  readonly signal?: AbortSignal;
  /**
   * Threads that work on this stream, the caller's own among them. `auto`, the default, asks for more than one once the stream has
   * shown to be large (64 MiB). They belong to the keyring and end when idle, or with `keyring.close()`.
   */
  readonly lanes?: LaneCount;
  /** Called after each batch with the plaintext bytes that are done so far. */
  readonly onProgress?: (plaintextBytes: number) => void;
}

export interface EncryptStreamOptions extends StreamOptions {
  /** The exact length, if known: a source that gives more or less fails. */
  readonly plaintextBytes?: number;
  /** Pads the header with zeros to at least this many bytes, so that a later rewrap can be done in place. At most 65,544. */
  readonly minHeaderBytes?: number;
}
