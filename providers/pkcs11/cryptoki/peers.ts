import { BroadcastChannel } from "node:worker_threads";

/**
 * Connects the threads of this process that use one library. A library has one state for the whole process, so a thread
 * that initialises it anew ends the sessions of all of them, and the handles that the others keep would name other things.
 *
 * Each thread has some numbers in shared memory that the others read and change. Threads make themselves known by messages.
 */
export class LibraryPeers {
  readonly #own: Int32Array;
  /** The other threads, each with the time since which it owes an answer. */
  readonly #others: Map<Int32Array, number | undefined> = new Map();
  readonly #refusedPins: Set<string> = new Set();
  readonly #channel: BroadcastChannel;

  constructor(path: string) {
    this.#own = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
    Atomics.store(
      this.#own,
      ID,
      crypto.getRandomValues(new Uint32Array(1)).reduce((_, random) => (random >>> 1) + 1, 1),
    );
    this.#channel = new BroadcastChannel(`envelock pkcs11 1 ${path}`);
    this.#channel.onmessage = (event: unknown) => this.#hear(Reflect.get(Object(event), "data"));
    this.#channel.unref(); // it keeps no thread alive
    this.#tell("hello");
  }

  /**
   * Asks all threads to make themselves known; their answers arrive a little later. Forgets those that have not answered for a minute:
   * a thread that was ended in the middle of a call would be taken for busy for ever.
   */
  callTheRoll(nowMs: number): void {
    for (const [words, owesSinceMs = nowMs] of this.#others) {
      if (nowMs - owesSinceMs > SILENT_MS) this.#others.delete(words);
      else this.#others.set(words, owesSinceMs);
    }
    this.#tell("hello");
  }

  /** The number of times that another thread has initialised the library anew. */
  get voided(): number {
    return Atomics.load(this.#own, VOIDED);
  }

  /** The number of times that a thread known here has finalised the library. */
  get finalisations(): number {
    return Math.max(...this.#all().map((words) => Atomics.load(words, FINALISATIONS)));
  }

  /** Whether one of the threads known here initialised the library. */
  get areInitialisers(): boolean {
    return this.#all().some((words) => Atomics.load(words, IS_INITIALISER) === 1);
  }

  /** The number of sessions of all of them. */
  get sessions(): number {
    return this.#all().reduce((sum, words) => sum + Atomics.load(words, SESSIONS), 0);
  }

  setInitialiser(is: boolean): void {
    Atomics.store(this.#own, IS_INITIALISER, is ? 1 : 0);
  }

  countSession(change: 1 | -1): void {
    Atomics.add(this.#own, SESSIONS, change);
  }

  /** Begins a call. @returns false, and begins none, while another thread initialises the library anew */
  enter(): boolean {
    Atomics.add(this.#own, CALLS, 1);
    if (Atomics.load(this.#own, HOLDER) === 0) return true;
    Atomics.sub(this.#own, CALLS, 1);
    return false;
  }

  leave(): void {
    Atomics.sub(this.#own, CALLS, 1);
  }

  /**
   * Runs `work` while no thread is in a call. The other threads' handles are void afterwards.
   *
   * @returns false, without having run it, if one of them is in a call
   */
  alone(work: () => void): boolean {
    const id = Atomics.load(this.#own, ID);
    const all = [...this.#all()].sort((a, b) => Atomics.load(a, ID) - Atomics.load(b, ID)); // one order, or two would wait for each other
    const held = all.filter((words) => Atomics.compareExchange(words, HOLDER, 0, id) === 0);
    try {
      if (held.length < all.length || all.some((words) => Atomics.load(words, CALLS) > 0)) return false;
      for (const words of all) Atomics.add(words, FINALISATIONS, 1);
      this.voidAll();
      work();
      return true;
    } finally {
      for (const words of held) Atomics.store(words, HOLDER, 0);
    }
  }

  /** Tells all threads that the sessions of the process have ended. */
  voidAll(): void {
    for (const words of this.#all()) {
      Atomics.store(words, SESSIONS, 0);
      Atomics.store(words, IS_INITIALISER, 0);
      if (words !== this.#own) Atomics.add(words, VOIDED, 1);
    }
  }

  /** Whether the token has refused this PIN in one of the threads. @param digest of token and PIN */
  isRefused(digest: string): boolean {
    return this.#refusedPins.has(digest);
  }

  refuse(digest: string): void {
    this.#refusedPins.add(digest);
    this.#tell("refused", digest);
  }

  #all(): readonly Int32Array[] {
    return [this.#own, ...this.#others.keys()];
  }

  #tell(kind: "hello" | "answer" | "refused", digest?: string): void {
    const digests = digest === undefined ? [...this.#refusedPins] : [digest];
    this.#channel.postMessage({ kind, words: this.#own, digests });
  }

  #hear(message: unknown): void {
    const { kind, words, digests }: { kind?: unknown; words?: unknown; digests?: unknown } = Object(message);
    if (words instanceof Int32Array && words.length === WORDS) this.#meet(words);
    if (Array.isArray(digests)) for (const digest of digests) this.#refusedPins.add(String(digest));
    if (kind === "hello") this.#tell("answer");
  }

  #meet(words: Int32Array): void {
    const isSame = (known: Int32Array): boolean => Atomics.load(known, ID) === Atomics.load(words, ID); // it arrives as another view each time
    if (!isSame(this.#own)) this.#others.set([...this.#others.keys()].find(isSame) ?? words, undefined);
  }
}

// The numbers of one thread.
const ID = 0;
/** The number of times that another thread has initialised the library anew. */
const VOIDED = 1;
/** Calls in flight. */
const CALLS = 2;
/** The id of the thread that initialises the library anew, or 0. */
const HOLDER = 3;
const IS_INITIALISER = 4;
const FINALISATIONS = 5;
const SESSIONS = 6;
const WORDS = 7;
const SILENT_MS = 60_000;
