import type { Worker } from "node:worker_threads";
import { engine } from "#engine";
import { copyOf, type OwnedBytes, wipe } from "../../base/bytes.ts";
import { authenticationFailed, EnvelockError } from "../../base/errors.ts";
import { requireFilled } from "../../base/filled.ts";
import { noWorker, workerFile } from "../../base/worker-file.ts";
import { CHUNK_BYTES } from "../../contracts/suite.ts";
import type { ChunkKeys } from "../../crypto/engine/engine.ts";
import type { ChunkJob } from "../chunk-job.ts";
import { checkedLanes, type Lane, type LanePool, type StreamLanes, streamEnded } from "./lanes.ts";
import type { LaneAnswer, LaneOrder } from "./messages.ts";

export interface LanePoolOptions {
  /** The worker's entry. Default: the file beside the built one. */
  readonly worker?: URL;
  /** The time that a worker may stay idle before it ends. */
  readonly idleMs?: number;
  /** Default: as many as this process may use. */
  readonly processors?: number;
}

/**
 * Makes a pool of worker threads, shared by the streams of one keyring. Workers are started when a stream is large enough to pay for them,
 * and ended when idle. They keep no process alive. If none can be started, a stream with a number of lanes fails, and one with `auto` stays
 * on its own thread.
 */
export function createLanePool({ worker, idleMs = 2000, processors }: LanePoolOptions = {}): LanePool {
  const pool = new WorkerPool(worker, idleMs);
  return {
    join(job, keys, { lanes, plaintextBytes = 0 }) {
      const checked = checkedLanes(lanes);
      const stream = pool.openStream();
      try {
        const isAuto = checked === "auto";
        return new WorkerStream(pool, stream, job, keys, { isAuto, lanes: isAuto ? autoLanes(processors) : checked, plaintextBytes });
      } catch (error) {
        pool.closeStream();
        throw error;
      }
    },
    close: () => pool.close(),
  };
}

/**
 * The lanes of `auto`: one where no thread gains anything. With two processors the other one has the collector's threads to run, and
 * `@envelock/native` seals a batch in less time than it takes to reach another thread and come back.
 */
function autoLanes(processors: number = process.getBuiltinModule("node:os").availableParallelism()): number {
  if (processors < LEAST_AUTO_PROCESSORS || engine.info().native !== undefined) return 1;
  return Math.min(processors, MAX_AUTO_LANES);
}

interface StreamSize {
  readonly isAuto: boolean;
  readonly lanes: number;
  readonly plaintextBytes: number;
}

/** One stream's share of the pool. */
class WorkerStream implements StreamLanes {
  readonly #pool: WorkerPool;
  readonly #stream: number;
  readonly #job: ChunkJob;
  readonly #keys: ChunkKeys;
  readonly #isAuto: boolean;
  readonly #workers: number;
  readonly #inputs: OwnedBytes[] = [];
  readonly #joined = new Set<WorkerLane>();
  #begunChunks = 0;
  #hasLeft = false;

  constructor(pool: WorkerPool, stream: number, job: ChunkJob, keys: ChunkKeys, { isAuto, lanes, plaintextBytes }: StreamSize) {
    this.#pool = pool;
    this.#stream = stream;
    this.#job = job;
    this.#keys = keys;
    this.#isAuto = isAuto;
    this.#workers = lanes - 1;
    if (!isAuto || plaintextBytes >= LARGE_CHUNKS * CHUNK_BYTES) pool.start(this.#workers);
    this.#requireWorkers();
  }

  get batchChunks(): number {
    return openStreams <= FEW_STREAMS ? BATCH_CHUNKS : Math.max(LEAST_CHUNKS, Math.floor((BATCH_CHUNKS * FEW_STREAMS) / openStreams));
  }

  get maxInFlight(): number {
    return this.#ready.length === 0 ? 1 : this.#ready.length * BATCHES_A_WORKER + OWN_BATCHES;
  }

  reserve(): Lane | undefined {
    this.#requireWorkers();
    this.#begunChunks += this.batchChunks;
    if (this.#isAuto && this.#begunChunks >= LARGE_CHUNKS) this.#pool.start(this.#workers);
    const worker = this.#ready.find((each) => each.load < BATCHES_A_WORKER);
    if (worker === undefined) return undefined;
    worker.load++;
    const input = this.#inputs.pop() ?? engine.allocate(BATCH_CHUNKS * this.#job.chunkBytes);
    return {
      input,
      run: (firstChunk, inputBytes, isEnd) => this.#run(worker, input, firstChunk, inputBytes, isEnd),
      abandon: () => {
        worker.load--;
        wipe(input);
      },
    };
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    wipe(...this.#inputs);
    for (const worker of this.#joined) worker.leave(this.#stream);
    this.#pool.closeStream();
  }

  /** Fails if threads were asked for by number and cannot be started. */
  #requireWorkers(): void {
    if (!this.#isAuto && this.#workers > 0 && this.#pool.failure !== undefined) throw this.#pool.failure;
  }

  get #ready(): readonly WorkerLane[] {
    return this.#pool.ready(this.#workers);
  }

  async #run(worker: WorkerLane, input: OwnedBytes, firstChunk: number, inputBytes: number, isEnd: boolean): Promise<OwnedBytes> {
    const stream = this.#stream;
    if (this.#hasLeft) {
      worker.load--;
      wipe(input);
      throw streamEnded();
    }
    if (!this.#joined.has(worker)) {
      this.#joined.add(worker);
      worker.join(stream, this.#job.mode, this.#keys);
    }
    const output = engine.allocate(this.#job.outputBytes(inputBytes, isEnd));
    const done = await worker.work(stream, { firstChunk, isEnd, input: input.buffer, inputBytes, output: output.buffer });
    const spent = new Uint8Array(done.input);
    const made = requireFilled(new Uint8Array(done.output), done.writtenBytes);
    if (this.#hasLeft) {
      wipe(spent, made);
      throw streamEnded();
    }
    this.#inputs.push(spent);
    return made;
  }
}

/** The workers of the pool, for all streams. */
class WorkerPool {
  readonly #url: URL | undefined;
  readonly #idleMs: number;
  #workers: WorkerLane[] = [];
  #streams = 0;
  #lastStream = 0;
  #isClosed = false;
  /** The reason why no worker can be started. There are no further attempts. */
  failure: EnvelockError | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(url: URL | undefined, idleMs: number) {
    this.#url = url;
    this.#idleMs = idleMs;
  }

  openStream(): number {
    if (this.#isClosed) throw streamEnded();
    clearTimeout(this.#idle);
    this.#streams++;
    openStreams++;
    return ++this.#lastStream;
  }

  closeStream(): void {
    this.#streams--;
    openStreams--;
    if (this.#streams > 0 || this.#workers.length === 0) return;
    this.#idle = setTimeout(() => this.#end(), this.#isClosed ? 0 : this.#idleMs);
    this.#idle.unref();
  }

  /** Returns up to `count` workers that take work now. */
  ready(count: number): readonly WorkerLane[] {
    return this.#workers.filter(({ isReady }) => isReady).slice(0, count);
  }

  /** Starts workers up to `count`. They are ready some time later. */
  start(count: number): void {
    while (this.#workers.length < count && this.failure === undefined) {
      try {
        // looked for only here, because a program without threads needs no worker file
        const url = this.#url ?? workerFile(WORKER_FILE, import.meta.url, PURPOSE);
        const worker: WorkerLane = new WorkerLane(url, (cause) => this.#lost(worker, cause));
        this.#workers.push(worker);
      } catch (error) {
        this.failure = error instanceof EnvelockError ? error : noWorker(PURPOSE, error);
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#streams > 0) return;
    clearTimeout(this.#idle);
    await this.#end();
  }

  async #end(): Promise<void> {
    const workers = this.#workers;
    this.#workers = [];
    await Promise.all(workers.map((worker) => worker.end()));
  }

  #lost(worker: WorkerLane, cause: unknown): void {
    this.#workers = this.#workers.filter((each) => each !== worker);
    if (!worker.isReady) this.failure = noWorker(PURPOSE, cause);
  }
}

/** One worker thread and its open batches. */
class WorkerLane {
  readonly #worker: Worker;
  // Kept in the order of the answers, which is that of the orders. No Map: each table that a Map outgrows points to the next. Once the collector
  // has moved the first one to the old generation, everything that was ever in them stays until a full collection.
  readonly #owed: OwedBatch[] = [];
  #hasEnded = false;
  isReady = false;
  /** Batches that are reserved or in flight. */
  load = 0;

  constructor(url: URL, onLost: (cause: unknown) => void) {
    // loaded here, because most programs that import the package start no thread
    const threads = process.getBuiltinModule("node:worker_threads");
    this.#worker = new threads.Worker(url, { name: "envelock lane", env: {}, execArgv: [], stdin: false, resourceLimits: SMALL_HEAP });
    this.#worker.unref();
    this.#worker.on("message", (answer: LaneAnswer) => this.#hear(answer));
    const lost = (cause?: unknown): void => {
      if (this.#hasEnded) return;
      this.#hasEnded = true;
      onLost(cause);
      this.#stop(died());
    };
    this.#worker.on("error", lost);
    this.#worker.on("exit", () => lost());
  }

  join(stream: number, mode: ChunkJob["mode"], keys: ChunkKeys): void {
    const key = copyOf(keys.key);
    const base = copyOf(keys.base);
    this.#order({ kind: "join", stream, mode, key, base }, [key.buffer, base.buffer]);
  }

  leave(stream: number): void {
    this.#order({ kind: "leave", stream });
    this.#fail(streamEnded(), stream);
  }

  work(stream: number, batch: LaneWork): Promise<DoneBatch> {
    if (this.#hasEnded) {
      wipe(new Uint8Array(batch.input));
      return Promise.reject(died());
    }
    return new Promise((resolve, reject) => {
      this.#owed.push({ stream, resolve, reject, isAwaited: true });
      this.#worker.ref();
      this.#order({ kind: "batch", stream, ...batch }, [batch.input, batch.output]);
    });
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    this.#stop(streamEnded());
    await this.#worker.terminate();
  }

  #stop(error: EnvelockError): void {
    this.isReady = false;
    this.#fail(error);
  }

  #order(order: LaneOrder, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(order, transfer);
  }

  #hear(answer: LaneAnswer): void {
    if (answer.kind === "ready") {
      this.isReady = true;
      return;
    }
    this.load--;
    const owed = this.#owed.shift();
    if (owed?.isAwaited) {
      if (answer.kind === "done") owed.resolve(answer);
      else owed.reject(answer.kind === "refused" ? authenticationFailed() : undone());
      this.#unrefIfIdle();
    } else if (answer.kind === "done") {
      wipe(new Uint8Array(answer.input), new Uint8Array(answer.output));
    }
  }

  #fail(error: EnvelockError, stream?: number): void {
    for (const owed of this.#owed) {
      if (stream !== undefined && owed.stream !== stream) continue;
      owed.isAwaited = false;
      owed.reject(error);
    }
    this.#unrefIfIdle();
  }

  #unrefIfIdle(): void {
    if (!this.#owed.some(({ isAwaited }) => isAwaited)) this.#worker.unref();
  }
}

interface OwedBatch {
  readonly stream: number;
  resolve(done: DoneBatch): void;
  reject(error: EnvelockError): void;
  /** False once the batch was given up; its answer arrives all the same. */
  isAwaited: boolean;
}

interface LaneWork {
  readonly firstChunk: number;
  readonly isEnd: boolean;
  readonly input: ArrayBuffer;
  readonly inputBytes: number;
  readonly output: ArrayBuffer;
}

type DoneBatch = LaneAnswer & { readonly kind: "done" };

function died(): EnvelockError {
  return new EnvelockError("unavailable", "a lane's worker thread ended before its work was done");
}

function undone(): EnvelockError {
  return new EnvelockError("unavailable", "a lane's worker thread did not do its work");
}

// A lane's heap holds cipher objects and tags, which die at once. Frequent collections keep its memory small.
const SMALL_HEAP = { maxYoungGenerationSizeMb: 2 } as const;
const PURPOSE = "lanes";
const WORKER_FILE = "./worker.js"; // no literal within `new URL`: bundlers would copy that file without its imports
const MAX_AUTO_LANES = 4;
const LEAST_AUTO_PROCESSORS = 3;
const BATCHES_A_WORKER = 2; // one in flight and one at hand
const OWN_BATCHES = 2; // so that this thread works on while a worker is late
/** The streams of all keyrings of this process that are under way. */
let openStreams = 0;
const FEW_STREAMS = 8;
const LEAST_CHUNKS = 8;
const BATCH_CHUNKS = 64; // 1 MiB: smaller batches pay more for every turn of a stream and for every message to a worker
const LARGE_CHUNKS = 4096; // 64 MiB: beyond it the start of a thread, some 100 ms, pays
