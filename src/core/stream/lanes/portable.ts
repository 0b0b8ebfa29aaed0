import { engine } from "#engine";
import { type OwnedBytes, wipe } from "../../base/bytes.ts";
import { requireFilled } from "../../base/filled.ts";
import type { ChunkJob } from "../chunk-job.ts";
import { checkedLanes, type Lane, type LanePool, type StreamLanes, streamEnded } from "./lanes.ts";

/** WebCrypto has threads of its own. Two batches in flight keep them busy, each with a few chunks at a time. */
export function createLanePool(): LanePool {
  return {
    join: (job, _keys, { lanes }) => new WebCryptoLanes(job, checkedLanes(lanes) === 1 ? 1 : BATCHES_IN_FLIGHT),
    close: async () => undefined,
  };
}

class WebCryptoLanes implements StreamLanes {
  readonly batchChunks = 16;
  readonly maxInFlight: number;
  readonly #job: ChunkJob;
  readonly #inputs: OwnedBytes[] = [];
  #hasLeft = false;

  constructor(job: ChunkJob, maxInFlight: number) {
    this.#job = job;
    this.maxInFlight = maxInFlight;
  }

  reserve(): Lane {
    const input = this.#inputs.pop() ?? engine.allocate(this.batchChunks * this.#job.chunkBytes);
    return {
      input,
      run: (firstChunk, inputBytes, isEnd) => this.#run(input, firstChunk, inputBytes, isEnd),
      abandon: () => wipe(input),
    };
  }

  turn(): undefined {
    return undefined;
  }

  leave(): void {
    this.#hasLeft = true;
    wipe(...this.#inputs);
  }

  async #run(input: OwnedBytes, firstChunk: number, inputBytes: number, isEnd: boolean): Promise<OwnedBytes> {
    const output = engine.allocate(this.#job.outputBytes(inputBytes, isEnd));
    try {
      this.#requireJoined();
      requireFilled(output, await this.#job.process(firstChunk, input.subarray(0, inputBytes), isEnd, output, 0));
      this.#requireJoined(); // the keys may have been wiped meanwhile
    } catch (error) {
      wipe(output, input);
      throw error;
    }
    this.#inputs.push(input);
    return output;
  }

  #requireJoined(): void {
    if (this.#hasLeft) throw streamEnded();
  }
}

const BATCHES_IN_FLIGHT = 2;
