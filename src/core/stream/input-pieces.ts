import { isBytes, viewOf } from "../base/bytes.ts";
import { type EnvelockError, invalidArgument } from "../base/errors.ts";
import { whenAborted } from "../base/when-aborted.ts";

/**
 * Wraps a source of pieces, for one iteration. An abort interrupts it, also while it waits. If `expectedBytes` is known, the source must
 * give exactly as many bytes.
 */
export class InputPieces implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  readonly #expectedBytes: number | undefined;
  readonly #stopListening: () => void;
  #isOver = false;
  /** Ends the wait for a piece. */
  #interrupt: () => void = () => undefined;
  /** The bytes given so far. */
  taken = 0;

  constructor(pieces: AsyncIterable<Uint8Array>, signal?: AbortSignal, expectedBytes?: number) {
    holdErrors(pieces);
    this.#source = pieces[Symbol.asyncIterator]();
    this.#signal = signal;
    this.#expectedBytes = expectedBytes;
    this.#stopListening = whenAborted(signal, () => {
      this.#interrupt();
      this.#dismiss();
    });
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#isOver) return OVER;
    try {
      const { done, value } = await (this.#signal === undefined ? this.#source.next() : this.#interruptible(this.#signal));
      if (done === true) return this.#end();
      return { done: false, value: this.#checked(value) };
    } catch (error) {
      this.#letGo();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    if (this.#isOver) return OVER;
    this.#letGo();
    await this.#source.return?.();
    return OVER;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Asks for a piece. The one listener ends the wait: adding and removing one for each piece costs more than the wait. */
  async #interruptible(signal: AbortSignal): Promise<IteratorResult<Uint8Array>> {
    signal.throwIfAborted();
    return await new Promise((resolve, reject) => {
      this.#interrupt = () => reject(signal.reason);
      Promise.resolve(this.#source.next()).then(resolve, reject);
    });
  }

  #checked(piece: Uint8Array): Uint8Array {
    if (!isBytes(piece)) throw this.#refusal("a stream's pieces must be Uint8Arrays");
    const steady = viewOf(piece);
    this.taken += steady.length;
    const expected = this.#expectedBytes;
    if (expected !== undefined && this.taken > expected) {
      throw this.#refusal(`plaintextBytes is ${expected}, the source gave at least ${this.taken}`);
    }
    return steady;
  }

  #end(): IteratorResult<Uint8Array> {
    const expected = this.#expectedBytes;
    if (expected !== undefined && this.taken < expected) {
      throw invalidArgument(`plaintextBytes is ${expected}, the source gave ${this.taken}`);
    }
    this.#letGo();
    return OVER;
  }

  #refusal(message: string): EnvelockError {
    this.#dismiss();
    return invalidArgument(message);
  }

  /**
   * Closes the source without waiting, because it may be the part that hangs. Its errors are dropped: no caller would get them, and they
   * would end the process.
   */
  #dismiss(): void {
    const told = async (): Promise<unknown> => await this.#source.return?.();
    told().catch(() => undefined);
  }

  #letGo(): void {
    this.#isOver = true;
    this.#stopListening();
  }
}

/**
 * Keeps a stream of Node from ending the process: it may fail before its first piece is asked for, while a key service is, and an `error`
 * event without a listener is an uncaught exception. The iteration throws the error all the same.
 */
export function holdErrors(source: object): void {
  const on: unknown = "readableEnded" in source ? Reflect.get(source, "on") : undefined;
  if (typeof on === "function") on.call(source, "error", () => undefined);
}

/** Takes an async iterable over. @throws `invalid-argument` for anything else, such as an array or a stream of an older browser */
export function requirePieces(pieces: unknown, what: string): void {
  if (typeof pieces !== "object" || pieces === null || !(Symbol.asyncIterator in pieces))
    throw invalidArgument(`${what} takes an async iterable of Uint8Arrays`, "pipe a web stream through encryptStream or decryptStream");
  holdErrors(pieces);
}

const OVER: IteratorResult<Uint8Array> = { done: true, value: undefined };
