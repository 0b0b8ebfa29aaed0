/** Hands pieces from a writer to an iterator, one at a time. A write is over once the reader asks for more than its piece. */
export class Handoff implements AsyncIterableIterator<Uint8Array> {
  #offered: Offer | undefined;
  #taken: Offer | undefined;
  #asking: Ask | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #isOver = false;

  /** Writes one piece; one write at a time. The writer may reuse the piece when the promise settles. */
  write(pieces: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.reason);
      const offer = { pieces: pieces.values(), resolve, reject };
      if (this.#asking === undefined) {
        this.#offered = offer;
        return;
      }
      this.#give(this.#asking, offer);
    });
  }

  /** Ends the pieces. */
  end(): void {
    this.#isOver = true;
    this.#asking?.resolve(OVER);
    this.#asking = undefined;
  }

  /** Ends both sides with `reason`. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#asking?.reject(reason);
    this.#offered?.reject(reason);
    this.#taken?.reject(reason);
    this.#asking = undefined;
    this.#offered = undefined;
    this.#taken = undefined;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const more = this.#taken?.pieces.next();
    if (more !== undefined && more.done !== true) return Promise.resolve({ done: false, value: more.value });
    this.#taken?.resolve();
    this.#taken = undefined;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.reason);
      const ask = { resolve, reject };
      if (this.#offered !== undefined) return this.#give(ask, this.#offered);
      if (this.#isOver) return resolve(OVER);
      this.#asking = ask;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #give(ask: Ask, offer: Offer): void {
    this.#asking = undefined;
    this.#offered = undefined;
    this.#taken = offer;
    ask.resolve(this.next());
  }
}

interface Ask {
  resolve(result: IteratorResult<Uint8Array> | Promise<IteratorResult<Uint8Array>>): void;
  reject(reason: unknown): void;
}

interface Offer {
  readonly pieces: Iterator<Uint8Array>;
  resolve(): void;
  reject(reason: unknown): void;
}

const OVER: IteratorResult<Uint8Array> = { done: true, value: undefined };
