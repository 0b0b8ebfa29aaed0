import type { Clock } from "../core/base/clock.ts";
import type { PartitionRecord } from "./records.ts";
import type { JobRows } from "./rows.ts";

/**
 * The lease of a partition, and the only one to change the partition meanwhile: one change after the other.
 *
 * It is renewed three times in its length while a page is worked on, because a page takes long where a budget is small or a key service is
 * slow. A page that takes longer than twenty leases may hang: the lease ends, and the partition goes to another worker.
 */
export class Lease {
  readonly #rows: JobRows;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #lost: () => void;
  #held: PartitionRecord;
  #change: Promise<unknown> = Promise.resolve();
  #renewals = 0;
  #isOver = false;
  #cancel: () => void = () => undefined;

  /** @param lost called when a renewal finds that another worker has the partition */
  constructor(
    { rows, clock }: { readonly rows: JobRows; readonly clock: Clock },
    held: PartitionRecord,
    leaseMs: number,
    lost: () => void,
  ) {
    this.#rows = rows;
    this.#clock = clock;
    this.#held = held;
    this.#leaseMs = leaseMs;
    this.#lost = lost;
    this.#wait();
  }

  /** The partition as this worker has left it. */
  get held(): PartitionRecord {
    return this.#held;
  }

  /** Changes the partition and keeps it. @returns false if another worker has taken it over */
  async keep(change: Partial<PartitionRecord>): Promise<boolean> {
    this.#renewals = 0;
    const isKept = await this.#next(change, this.#leaseMs);
    if (isKept && !this.#isOver) this.#wait();
    return isKept;
  }

  /** Changes the partition for the last time. @param restMs the time for which no worker may take it */
  async end(change: Partial<PartitionRecord>, restMs: number = 0): Promise<boolean> {
    this.stop();
    return await this.#next(change, restMs);
  }

  /** Ends the renewals. */
  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }

  async #next(change: Partial<PartitionRecord>, leaseMs: number): Promise<boolean> {
    const own = this.#change.then(async () => {
      const kept = await this.#rows.swapPartition(this.#held, change, { leaseMs });
      if (kept !== undefined) this.#held = kept;
      return kept !== undefined;
    });
    this.#change = own.catch(() => undefined);
    return await own;
  }

  #wait(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(this.#leaseMs / RENEWALS_OF_LEASE, () => void this.#renew(), "idle");
  }

  async #renew(): Promise<void> {
    if (this.#renewals++ >= MOST_RENEWALS) return;
    await this.#change; // a change in flight renews the lease as well, or ends it
    if (this.#isOver) return;
    try {
      if (!(await this.#next({}, this.#leaseMs)) && !this.#isOver) this.#lost();
    } catch {
      // the checkpoint meets the same failure, or finds the lease as it is
    }
    if (!this.#isOver) this.#wait();
  }
}

const RENEWALS_OF_LEASE = 3;
/** The renewals of one page. */
const MOST_RENEWALS = 60;
