/** One long request whose bytes are taken range by range. After a break it begins anew where the taken bytes ended. */
export class SequentialRun {
  readonly #end: number;
  readonly #open: (from: number) => AsyncGenerator<Uint8Array, void, undefined>;
  #position: number;
  #isReserved = false;
  #pieces: AsyncGenerator<Uint8Array, void, undefined> | undefined;
  #left: Uint8Array = NOTHING;

  /** @param open begins a request for the bytes from a place to the end of the run */
  constructor(start: number, end: number, open: (from: number) => AsyncGenerator<Uint8Array, void, undefined>) {
    this.#position = start;
    this.#end = end;
    this.#open = open;
  }

  /** Takes the run for one range, if that is the next one and no other is read. The caller releases it. */
  reserve(start: number, end: number): boolean {
    if (this.#isReserved || start !== this.#position || end > this.#end) return false;
    this.#isReserved = true;
    return true;
  }

  release(): void {
    this.#isReserved = false;
  }

  /** Gives the bytes up to `end`; fewer if the request ends before. */
  async *take(end: number): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#position < end) {
      if (this.#left.length === 0) {
        this.#pieces ??= this.#open(this.#position);
        const { done, value } = await this.#pieces.next();
        if (done === true) return;
        this.#left = value;
      }
      const piece = this.#left.subarray(0, end - this.#position);
      this.#left = this.#left.subarray(piece.length);
      this.#position += piece.length;
      yield piece;
    }
  }

  /** Gives up the request: the next bytes come from a new one. */
  restart(): void {
    this.#left = NOTHING;
    this.close();
  }

  close(): void {
    this.#pieces?.return().catch(() => undefined);
    this.#pieces = undefined;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
