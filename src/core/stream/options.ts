import { VALUE_OPTIONS, type ValueOptions } from "../base/call-options.ts";
import type { OptionNames } from "../base/options.ts";
import type { LaneCount } from "./lanes/lanes.ts";

/** The options of a stream. An abort by the signal ends both sides with its reason. */
export interface StreamOptions extends ValueOptions {
  /**
   * The number of threads that work on this stream, the caller's own among them. Defaults to 1. `auto` adds threads once the stream proves
   * to be large (64 MiB), on machines with three processors or more and without `@envelock/native`: elsewhere they gain nothing. Each thread
   * takes some 40 MiB. They belong to the keyring and end when idle, or with `keyring.close()`.
   *
   * If no thread can be started, as in a bundle of one file, a number above 1 fails with `unavailable` and `detail` `no-worker`, and `auto`
   * works without.
   */
  readonly lanes?: LaneCount;
  /** Called after each batch with the plaintext bytes that are done so far. A promise that it returns is waited for; a failure ends the stream. */
  readonly onProgress?: (plaintextBytes: number) => unknown;
}

export interface EncryptStreamOptions extends StreamOptions {
  /** The exact length, if known. A source that gives more or fewer bytes fails. */
  readonly plaintextBytes?: number;
  /** Pads the header with zeros to at least this many bytes, so that a later rewrap can be done in place. At most 65,544. */
  readonly minHeaderBytes?: number;
}

export const STREAM_OPTIONS: OptionNames<StreamOptions> = { ...VALUE_OPTIONS, lanes: true, onProgress: true };
export const ENCRYPT_STREAM_OPTIONS: OptionNames<EncryptStreamOptions> = { ...STREAM_OPTIONS, plaintextBytes: true, minHeaderBytes: true };
