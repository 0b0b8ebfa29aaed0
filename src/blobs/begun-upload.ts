import type { Clock } from "../core/base/clock.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { waitFor } from "../core/base/wait.ts";

/** The calls that an upload at a service begins and ends with. */
export interface UploadEnds<T> {
  readonly clock: Clock;
  /** Begins an upload, and gives what names it. It takes no signal: its answer alone tells what can be ended. */
  begin(): Promise<T>;
  end(upload: T): Promise<void>;
}

/** An upload at a service, begun when it is first needed. */
export class BegunUpload<T> {
  readonly #ends: UploadEnds<T>;
  #begun: Promise<T> | undefined;

  constructor(ends: UploadEnds<T>) {
    this.#ends = ends;
  }

  /** Whether it was begun, and neither failed nor ended. */
  get isBegun(): boolean {
    return this.#begun !== undefined;
  }

  /** Begins the upload, once: a failed beginning is repeated by the next call. @throws what `begin` throws; the signal's reason */
  async begun(signal: AbortSignal | undefined): Promise<T> {
    this.#begun ??= this.#ends.begin();
    const begun = this.#begun;
    try {
      return await waitFor(begun, { signal });
    } catch (error) {
      signal?.throwIfAborted(); // the request goes on, and `end` ends what it began
      if (this.#begun === begun) this.#begun = undefined;
      throw error;
    }
  }

  /**
   * Ends the upload as soon as what names it is known, with a second attempt. Never throws. It waits 10 s at most for a service that does
   * not answer.
   */
  async end(): Promise<void> {
    const begun = this.#begun;
    this.#begun = undefined;
    if (begun === undefined) return;
    const { clock, end } = this.#ends;
    const ended = async (): Promise<void> => await end(await begun);
    const error = (): EnvelockError => new EnvelockError("timeout", "the store was silent at the end of an upload");
    await waitFor(ended().catch(ended), { limit: { clock, ms: MOST_ENDING_MS, error } }).catch(() => undefined);
  }
}

const MOST_ENDING_MS = 10_000;
