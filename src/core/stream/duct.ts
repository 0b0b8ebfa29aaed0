import type { OwnedBytes } from "../base/bytes.ts";
import { Handoff } from "./handoff.ts";

/** What a duct runs its pieces through. `signal` tells it that nobody waits any more. */
export type Transform<Output extends AsyncIterableIterator<OwnedBytes>> = (
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
) => Output;

/**
 * A transform of iterables, turned into something that is written to and read from: what web streams and Node streams have in common.
 * Nothing is worked on ahead of `read`, which is the whole of the backpressure.
 */
export class Duct<Output extends AsyncIterableIterator<OwnedBytes>> {
  readonly output: Output;
  readonly #handoff = new Handoff();
  readonly #stop = new AbortController();
  readonly #finished: Promise<void>;
  readonly #signal: AbortSignal | undefined;
  readonly #onFailure: (reason: unknown) => void;
  #finish: () => void = () => undefined;
  #fail: (reason: unknown) => void = () => undefined;
  #isOver = false;

  /** @param onFailure called once if either side, or the work between them, fails; with `signal` aborted also without anybody's call */
  constructor(transform: Transform<Output>, signal: AbortSignal | undefined, onFailure: (reason: unknown) => void) {
    this.output = transform(this.#handoff, this.#stop.signal);
    this.#onFailure = onFailure;
    this.#signal = signal;
    this.#finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.#finished.catch(() => undefined); // whoever waits for the end hears of it
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) queueMicrotask(this.#onAbort); // once the owner stands
  }

  /** Settles once the pieces are used up. */
  write(pieces: readonly Uint8Array[]): Promise<void> {
    return this.#handoff.write(pieces);
  }

  /** No more input. Settles once all output has been read. */
  end(): Promise<void> {
    this.#handoff.end();
    return this.#finished;
  }

  /** The next output, or undefined at the end. */
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

  /** Ends everything with `reason`; resolves when all is let go. */
  async fail(reason: unknown): Promise<void> {
    if (this.#isOver) return;
    this.#letGo();
    this.#fail(reason);
    this.#handoff.fail(reason);
    this.#stop.abort(reason);
    this.#onFailure(reason);
    await this.output.return?.().catch(() => undefined);
  }

  readonly #onAbort = (): void => {
    this.fail(this.#signal?.reason);
  };

  #letGo(): void {
    this.#isOver = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
