import { engine } from "#engine";
import { copyOf, type OwnedBytes, wipe } from "../base/bytes.ts";

/** The memory that the batches of one stream are written to. */
export interface Outputs {
  /** The length of memory that waits for the next batch. Batches are made so that they fit. Undefined where any length will do. */
  readonly room: number | undefined;
  /** Takes memory for the batch that is given out next, with whatever was there before. */
  take(bytes: number): OwnedBytes;
  /** Shortens a batch for which more memory was taken than its bytes need. */
  cut(target: OwnedBytes, bytes: number): OwnedBytes;
}

/** A new array for each batch, which the reader may keep. */
export const engineOutputs: Outputs = {
  room: undefined,
  take: (bytes) => engine.allocate(bytes),
  cut(target, bytes) {
    const batch = copyOf(target.subarray(0, bytes));
    wipe(target);
    return batch;
  },
};
