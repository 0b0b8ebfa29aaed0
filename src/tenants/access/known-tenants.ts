import { RecentMap } from "../../core/base/recent-map.ts";
import type { TenantRecord, TenantState } from "../record/tenant-record.ts";

/**
 * What a process remembers about a tenant for longer than it holds the keyring: at most 256 bytes. Times are whole seconds of the monotonic
 * clock, which take no object of their own.
 */
export class TenantSlot {
  state: TenantState;
  epoch: number;
  generation: number;
  revision: number;
  /** The tenant's own bounds of calls; 0 for those of the vendor. */
  maxConcurrent = 0;
  callsPerSecond = 0;
  /** When the record was read. */
  readAtS: number;
  /** When a call last used the tenant. */
  usedAtS: number = NEVER;
  /** When the use was last noted in the store. */
  stampedAtS: number = NEVER;
  /** When the next canary is due. */
  canaryAtS = 0;
  verifiedAtS: number = NEVER;
  refusedAtS: number = NEVER;
  /** Deliberate refusals and accidents in a row, since the key last answered. */
  refusals = 0;
  failures = 0;
  /** The sources that saw the refusals: 1 is traffic, 2 a canary. */
  refusedTo = 0;
  /** Canaries since the tenant was revoked. */
  canaries = 0;
  /** Whether one of them was refused. */
  isRefused = false;

  constructor({ state, epoch, generation, revision, policy }: TenantRecord, readAtS: number) {
    this.maxConcurrent = policy.maxConcurrent ?? 0;
    this.callsPerSecond = policy.callsPerSecond ?? 0;
    this.state = state;
    this.epoch = epoch;
    this.generation = generation;
    this.revision = revision;
    this.readAtS = readAtS;
  }

  /** Takes over what a read of the store says. An older revision changes nothing. */
  update({ state, epoch, generation, revision, policy }: TenantRecord, readAtS: number): void {
    if (revision < this.revision) return;
    this.maxConcurrent = policy.maxConcurrent ?? 0;
    this.callsPerSecond = policy.callsPerSecond ?? 0;
    if (state !== this.state) {
      this.canaries = 0;
      this.isRefused = false;
    }
    if (epoch !== this.epoch) this.answered(); // the keys of an earlier life say nothing about those of this one
    this.state = state;
    this.epoch = epoch;
    this.generation = generation;
    this.revision = revision;
    this.readAtS = Math.max(readAtS, this.readAtS);
  }

  /** Forgets refusals and accidents: the key has answered. */
  answered(): void {
    this.refusals = 0;
    this.failures = 0;
    this.refusedTo = 0;
  }
}

/** The tenants that this process has met, bounded in number. The least recently used is forgotten first, and met anew from the store. */
export class KnownTenants {
  readonly #slots: RecentMap<string, TenantSlot>;

  constructor(maxKnown: number, isInUse: (id: string) => boolean) {
    this.#slots = new RecentMap<string, TenantSlot>({ maxEntries: maxKnown, isInUse: (_slot, id) => isInUse(id) });
  }

  get size(): number {
    return this.#slots.size;
  }

  get(id: string): TenantSlot | undefined {
    return this.#slots.get(id);
  }

  /** Returns what is known, which does not count as a use. */
  peek(id: string): TenantSlot | undefined {
    return this.#slots.peek(id);
  }

  /** Notes what a read of the store says. */
  note(record: TenantRecord, readAtS: number): TenantSlot {
    const known = this.#slots.get(record.id);
    if (known !== undefined) {
      known.update(record, readAtS);
      return known;
    }
    const slot = new TenantSlot(record, readAtS);
    this.#slots.set(record.id, slot);
    return slot;
  }

  entries(): readonly (readonly [id: string, slot: TenantSlot])[] {
    return this.#slots.entries();
  }
}

const NEVER = -(2 ** 30);
