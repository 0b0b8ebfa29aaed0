import type { OwnedBytes } from "../base/bytes.ts";
import { whenAborted } from "../base/when-aborted.ts";
import { Handoff } from "./handoff.ts";

/** The transform that a duct runs its pieces through. `signal` tells it that its output is no longer awaited. */
export type Transform<Output extends AsyncIterableIterator<OwnedBytes>> = (
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
) => Output;

/**
 * Turns a transform of iterables into an object with `write` and `read`, which web streams and Node streams share. No work is done ahead of
 * `read`, which is all of the backpressure.
 */
export class Duct<Output extends AsyncIterableIterator<OwnedBytes>> {
  readonly output: Output;
  readonly #handoff = new Handoff();
  readonly #stop = new AbortController();
  readonly #finished: Promise<void>;
  readonly #stopListening: () => void;
  readonly #onFailure: (reason: unknown) => void;
  #finish: () => void = () => undefined;
  #fail: (reason: unknown) => void = () => undefined;
  #isOver = false;

  /**
   * @param onFailure called once if either side, or the work between them, fails. With an aborted `signal` it is called without a read or
   *   write
   */
  constructor(transform: Transform<Output>, signal: AbortSignal | undefined, onFailure: (reason: unknown) => void) {
    this.output = transform(this.#handoff, this.#stop.signal);
    this.#onFailure = onFailure;
    this.#finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.#finished.catch(() => undefined); // a caller that waits for the end gets the error
    const onAbort = (): void => {
      this.fail(signal?.reason);
    };
    this.#stopListening = whenAborted(signal, onAbort);
    if (signal?.aborted) queueMicrotask(onAbort); // once the constructor of the owner has returned
  }

  /** Settles once the pieces are used up. */
  write(pieces: readonly Uint8Array[]): Promise<void> {
    return this.#handoff.write(pieces);
  }

  /** Ends the input. Settles once all output has been read. */
  end(): Promise<void> {
    this.#handoff.end();
    return this.#finished;
  }

  /** Returns the next output, or undefined at the end. */
  async read(): Promise<OwnedBytes | undefined> {
    try {
      const { done, value } = await this.output.next();
      if (done !== true) return value;
      this.#letGo();
      this.#finish();
      return undefined;
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  /** Ends everything with `reason`. Resolves when all resources are released. */
  async fail(reason: unknown): Promise<void> {
    if (this.#isOver) return;
    this.#letGo();
    this.#fail(reason);
    this.#handoff.fail(reason);
    this.#stop.abort(reason);
    this.#onFailure(reason);
    await this.output.return?.().catch(() => undefined);
  }

  #letGo(): void {
    this.#isOver = true;
    this.#stopListening();
  }
}
