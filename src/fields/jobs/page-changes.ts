import type { CallOptions } from "../../core/base/call-options.ts";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { DataKeyStore, RowChange, RowPlace, ScanPage, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { fromStore } from "../from-store.ts";
import { inParallel } from "./pages.ts";

/** The result of a change. */
export interface ReplacedRow {
  /** Whether the store has made it. */
  readonly isReplaced: boolean;
  /** The row as the store gives it afterwards. Undefined if it has none. */
  readonly now: StoredDataKey | undefined;
}

/**
 * The changes of the rows of one page. Where the store can, many are made in one statement: a change waits for others, but not long, so that
 * a process that ends loses little. All rows are read back at the end of the page, at once.
 *
 * Each row stands for itself: if many changes fail together, they are made one by one. A store that cannot be reached fails the page.
 */
export class PageChanges {
  readonly #store: DataKeyStore;
  readonly #clock: Clock;
  readonly #page: ScanPage;
  readonly #workers: number;
  readonly #options: CallOptions;
  #waiting: Change[] = [];
  readonly #made: Change[] = [];
  #writes: Promise<void> = Promise.resolve();
  #cancelTimer: () => void = () => undefined;
  /** The failure of a store that cannot be reached. */
  #down: EnvelockError | undefined;
  #isOver = false;

  /**
   * @param page the rows that will be read back
   * @param workers the changes in flight where the store makes them one by one
   */
  constructor(store: DataKeyStore, clock: Clock, page: ScanPage, workers: number, options: CallOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#page = page;
    this.#workers = workers;
    this.#options = options;
  }

  /** Replaces a row if the store has this revision of it. Settles when `end` or `stop` is called. @throws what the store throws */
  async replace(row: StoredDataKey, expectedRevision: number): Promise<ReplacedRow> {
    if (this.#isOver) return await this.#replaceAlone({ row, expectedRevision });
    return await new Promise((resolve, reject) => {
      const isFirst = this.#waiting.push({ row, expectedRevision, isReplaced: false, resolve, reject }) === 1;
      if (this.#waiting.length >= MOST_TOGETHER) this.#write();
      else if (isFirst) this.#cancelTimer = this.#clock.after(MOST_WAIT_MS, () => this.#write(), "awaited");
    });
  }

  /**
   * Makes the changes that wait, and settles all. A change that comes later is made at once.
   *
   * @throws `unavailable` and the like for a store that cannot be reached: the page has to be done again
   */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#write();
    await this.#writes;
    try {
      if (this.#down !== undefined) throw this.#down;
      await this.#readBack();
    } catch (error) {
      this.#reject(error);
      throw error;
    }
  }

  /** Fails the changes that were not settled. Those in flight end before. */
  async stop(reason: unknown): Promise<void> {
    this.#isOver = true;
    this.#cancelTimer();
    const waiting = this.#waiting.splice(0);
    await this.#writes;
    for (const { reject } of waiting) reject(reason);
    this.#reject(reason);
  }

  #reject(reason: unknown): void {
    for (const { reject } of this.#made) reject(reason);
  }

  #write(): void {
    this.#cancelTimer();
    const changes = this.#waiting.splice(0).sort((a, b) => byPlace(a.row, b.row)); // in one order, so that two statements do not lock crosswise
    this.#writes = this.#writes.then(() => this.#make(changes));
  }

  async #make(changes: readonly Change[]): Promise<void> {
    if (changes.length > 1 && (await this.#makeTogether(changes))) return;
    await inParallel(changes, this.#workers, undefined, async (change) => {
      try {
        if (this.#down !== undefined) throw this.#down;
        change.isReplaced = await this.#swap(change);
        this.#made.push(change);
      } catch (error) {
        if (error instanceof EnvelockError && error.retryable) this.#down ??= error;
        change.reject(error);
      }
    });
  }

  /** @returns whether the store has answered for each change. If not, one by one tells which of them it does not take */
  async #makeTogether(changes: readonly Change[]): Promise<boolean> {
    const swapMany = this.#store.compareAndSwapMany?.bind(this.#store);
    if (swapMany === undefined) return false;
    const plain = changes.map(({ row, expectedRevision }): RowChange => ({ row, expectedRevision }));
    const answers = await fromStore(() => swapMany(plain, this.#options), this.#options).catch(() => undefined);
    if (answers?.length !== changes.length) return false;
    for (const [at, change] of changes.entries()) {
      change.isReplaced = answers[at] === true;
      this.#made.push(change);
    }
    return true;
  }

  /** Reads the page, where the rows of the changes are. One that has moved behind its end, because rows came in, is read alone. */
  async #readBack(): Promise<void> {
    if (this.#made.length === 0) return;
    const rows = await fromStore(() => this.#store.scan(this.#page, this.#options), this.#options);
    const found = new Map(rows.map((row) => [placeText(row), row]));
    await inParallel(this.#made, this.#workers, undefined, async ({ row, isReplaced, resolve, reject }) => {
      try {
        resolve({ isReplaced, now: found.get(placeText(row)) ?? (await this.#read(row)) });
      } catch (error) {
        reject(error);
      }
    });
  }

  async #replaceAlone(change: RowChange): Promise<ReplacedRow> {
    const isReplaced = await this.#swap(change);
    return { isReplaced, now: await this.#read(change.row) };
  }

  async #swap({ row, expectedRevision }: RowChange): Promise<boolean> {
    this.#options.signal?.throwIfAborted();
    return await fromStore(() => this.#store.compareAndSwap(row, expectedRevision, this.#options), this.#options);
  }

  async #read({ scope, kid }: StoredDataKey): Promise<StoredDataKey | undefined> {
    return await fromStore(() => this.#store.byKid(scope, kid, this.#options), this.#options);
  }
}

interface Change extends RowChange {
  isReplaced: boolean;
  readonly resolve: (replaced: ReplacedRow) => void;
  readonly reject: (reason: unknown) => void;
}

function byPlace(a: RowPlace, b: RowPlace): number {
  if (a.scope === b.scope) return a.version - b.version;
  return a.scope < b.scope ? -1 : 1;
}

function placeText({ scope, version }: RowPlace): string {
  return `${version} ${scope}`;
}

/** The changes of one statement. Half a page, so that the store works on one while the next is made ready. */
const MOST_TOGETHER = 128;
/** The time that a change waits for others. */
const MOST_WAIT_MS = 100;
