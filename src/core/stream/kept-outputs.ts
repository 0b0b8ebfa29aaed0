import { type OwnedBytes, wipe } from "../base/bytes.ts";
import { engineOutputs, type Outputs } from "./outputs.ts";

/**
 * Lets the batches of one stream share two arrays, where the reader is the library's own and writes each batch away. A fresh array
 * of 1 MiB costs as much as its encryption, because the system hands out its pages one by one.
 */
export class KeptOutputs implements Outputs {
  readonly room = undefined;
  #spare: OwnedBytes | undefined;

  take(bytes: number): OwnedBytes {
    const spare = this.#spare;
    if (spare?.length !== bytes) return engineOutputs.take(bytes);
    this.#spare = undefined;
    return spare;
  }

  cut(target: OwnedBytes, bytes: number): OwnedBytes {
    return engineOutputs.cut(target, bytes);
  }

  /** Passes batches on. The reader asks for the next one only once it is done with the one before the last. */
  async *passing(batches: AsyncIterable<OwnedBytes>): AsyncGenerator<OwnedBytes, void, undefined> {
    let before: OwnedBytes | undefined;
    try {
      for await (const batch of batches) {
        yield batch;
        this.#spare = before;
        before = batch;
      }
    } finally {
      wipe(this.#spare); // the last batch may still be on its way
    }
  }
}
