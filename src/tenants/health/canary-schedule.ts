import type { TenantSlot } from "../access/known-tenants.ts";
import type { Residents } from "../access/residents.ts";
import type { TenantRecords } from "../record/records.ts";
import type { TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import { type CanaryPace, type CanaryPage, CanaryTurns } from "./canary-turns.ts";
import { ownKeysOf } from "./own-keys.ts";
import type { UseStamps } from "./use-stamps.ts";
import type { WatchPlace } from "./watch-place.ts";

export interface CanaryScheduleParts {
  readonly policy: TenantsPolicy;
  readonly records: TenantRecords;
  readonly residents: Residents;
  readonly uses: UseStamps;
  readonly place: WatchPlace;
  /** Unwraps the canaries of a tenant. @returns whether all of them opened */
  check(record: TenantRecord, signal: AbortSignal): Promise<boolean>;
}

/**
 * Sends the canaries that are due: every five minutes for tenants with calls in the last day, every hour for others. After a revocation it
 * sends one a minute for five minutes, then every five minutes for a day, then hourly.
 */
export class CanarySchedule {
  readonly #parts: CanaryScheduleParts;
  /** The tenants of which a canary did not open, or that are not active: they come with those that have traffic. */
  readonly #troubled = new Set<string>();
  #kept: { readonly place: string | undefined; readonly atS: number } = { place: undefined, atS: 0 };

  constructor(parts: CanaryScheduleParts) {
    this.#parts = parts;
  }

  /** @returns when the signal is aborted */
  async run(pace: CanaryPace): Promise<void> {
    const { policy, place } = this.#parts;
    const from = await place.read().catch(() => undefined);
    this.#kept = { place: from, atS: this.#parts.residents.nowS };
    const turns = new CanaryTurns({
      clock: policy.clock,
      pageOfFirst: (after) => this.#pageInUse(after),
      pageOfAll: (after) => this.#pageOfAll(after, pace.signal),
      from,
      send: (id) => this.#send(id, pace.signal),
    });
    await turns.run(pace);
  }

  async #pageInUse(after: string | undefined): Promise<CanaryPage> {
    const stamps = await this.#parts.uses.list(after, PAGE);
    const inUse = stamps.filter(({ usedAtMs }) => this.#isRecent(usedAtMs)).map(({ tenant }) => tenant);
    const troubled = after === undefined ? [...this.#troubled] : [];
    const due = [...new Set([...troubled, ...inUse])].filter((id) => this.#isDue(id));
    return { due, after: stamps.length < PAGE ? undefined : stamps.at(-1)?.tenant };
  }

  async #pageOfAll(after: string | undefined, signal: AbortSignal): Promise<CanaryPage> {
    const page = await this.#parts.records.list(after, PAGE, { signal });
    const due = page.filter((record) => !("error" in record) && isWatched(record) && this.#isDue(record.id)).map(({ id }) => id);
    const next = page.length < PAGE ? undefined : page.at(-1)?.id;
    if (due.length > 0) await this.#keep(after);
    return { due, after: next };
  }

  /** Notes in the store now and then which page the round stands at. A note that fails costs the next process some turns. */
  async #keep(place: string | undefined): Promise<void> {
    const { nowS } = this.#parts.residents;
    if (place === this.#kept.place || nowS - this.#kept.atS < KEEP_EVERY_S) return;
    this.#kept = { place, atS: nowS };
    await this.#parts.place.keep(place).catch(() => undefined);
  }

  async #send(id: string, signal: AbortSignal): Promise<boolean> {
    const { records, residents, check } = this.#parts;
    const record = await records.read(id, { signal });
    this.#troubled.delete(id);
    if (record === undefined || !isWatched(record) || signal.aborted) return false;
    if (record.state !== "active") this.#follow(id);
    const slot = residents.known.note(record, residents.nowS);
    if (residents.nowS < slot.canaryAtS) return false;
    slot.canaryAtS = residents.nowS + (await this.#delayS(record, slot));
    if (record.state === "revoked") slot.canaries++;
    const checked = async (): Promise<void> => {
      if (!(await check(record, signal))) this.#follow(id);
    };
    checked().catch(() => undefined); // the next canary tries again
    return true;
  }

  #follow(id: string): void {
    if (this.#troubled.size < MOST_TROUBLED) this.#troubled.add(id);
  }

  #isDue(id: string): boolean {
    const { residents } = this.#parts;
    return residents.nowS >= (residents.known.peek(id)?.canaryAtS ?? 0);
  }

  async #delayS(record: TenantRecord, slot: TenantSlot): Promise<number> {
    if (record.state === "revoked") return slot.canaries < 5 ? 60 : slot.canaries < 5 + 288 ? 300 : 3600;
    const jitter = 0.8 + 0.4 * this.#parts.policy.clock.random();
    return Math.floor(((await this.#isBusy(record.id, slot)) ? 300 : 3600) * jitter);
  }

  /** Whether a tenant had calls in the last day, in this process or another. */
  async #isBusy(id: string, slot: TenantSlot): Promise<boolean> {
    const { residents, uses } = this.#parts;
    if (residents.nowS - slot.usedAtS < DAY_S) return true;
    const usedAtMs = await uses.usedAtMs(id).catch(() => undefined); // the next canary asks again
    return usedAtMs !== undefined && this.#isRecent(usedAtMs);
  }

  #isRecent(usedAtMs: number): boolean {
    return Math.abs(this.#parts.policy.clock.unixMs() - usedAtMs) < DAY_S * 1000;
  }
}

function isWatched(record: TenantRecord): boolean {
  return WATCHED.has(record.state) && ownKeysOf(record).length > 0;
}

const WATCHED: ReadonlySet<string> = new Set(["active", "degraded", "revoked"]);
const DAY_S = 86_400;
const PAGE = 500;
const KEEP_EVERY_S = 60;
const MOST_TROUBLED = 10_000;
