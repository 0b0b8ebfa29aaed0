import type { Clock } from "../../core/base/clock.ts";
import { Answer, badParameter } from "./answer.ts";

/** The rules of a vault for what was deleted. */
export interface DeletionRules {
  readonly clock: Clock;
  /** The period during which a deleted object can be recovered. */
  readonly retentionDays: number;
  readonly isPurgeProtected: boolean;
  /** The time that a deletion and a recovery take. */
  readonly transitionMs: number;
}

export interface Deleted<T> {
  readonly item: T;
  /** Unix time in seconds. */
  readonly deletedDate: number;
  readonly scheduledPurgeDate: number;
}

/** An object with all its versions, the newest last. */
export interface Versioned<V extends { readonly id: string }> {
  readonly name: string;
  readonly versions: readonly V[];
}

/**
 * The objects of one kind in a vault, deleted ones included. Names are case-insensitive, and a deleted object holds its name until it is
 * purged. A deletion and a recovery take their time: meanwhile the object is in neither place, and every other request about it is a
 * conflict.
 */
export abstract class RecoverableObjects<V extends { readonly id: string }, T extends Versioned<V>> {
  readonly #rules: DeletionRules;
  readonly #notFound: (name: string, version?: string) => Answer;
  readonly #live = new Map<string, { readonly item: T; readonly arrivesAtMs: number }>();
  readonly #deleted = new Map<string, Deleted<T> & { readonly settledAtMs: number }>();

  protected constructor(rules: DeletionRules, notFound: (name: string, version?: string) => Answer) {
    this.#rules = rules;
    this.#notFound = notFound;
  }

  /** @throws Answer */
  find(name: string): T {
    const live = this.#live.get(name.toLowerCase());
    if (live === undefined || live.arrivesAtMs > this.#nowMs) throw this.#notFound(name);
    return live.item;
  }

  get all(): readonly T[] {
    return [...this.#live.values()].filter(({ arrivesAtMs }) => arrivesAtMs <= this.#nowMs).map(({ item }) => item);
  }

  /** @param version empty for the newest, as in `/keys/orders//wrapkey` @throws Answer */
  version(name: string, version: string): V {
    const versions = this.visibleVersions(name);
    const found = version === "" ? versions.at(-1) : versions.find(({ id }) => id === version.toLowerCase());
    if (found === undefined) throw this.#notFound(name, version);
    return found;
  }

  /** @throws Answer */
  visibleVersions(name: string): readonly V[] {
    return this.find(name).versions;
  }

  /** @throws Answer */
  delete(name: string): Deleted<T> {
    const item = this.find(name);
    const deletedDate = Math.floor(this.#nowMs / 1000);
    const scheduledPurgeDate = deletedDate + this.#rules.retentionDays * DAY_SECONDS;
    const deleted = { item, deletedDate, scheduledPurgeDate, settledAtMs: this.#nowMs + this.#rules.transitionMs };
    this.#live.delete(name.toLowerCase());
    this.#deleted.set(name.toLowerCase(), deleted);
    return deleted;
  }

  /** Returns what can be recovered. */
  get allDeleted(): readonly Deleted<T>[] {
    return [...this.#deleted.values()].filter((deleted) => deleted.settledAtMs <= this.#nowMs && isKept(deleted, this.#nowMs));
  }

  /** @throws Answer */
  findDeleted(name: string): Deleted<T> {
    const deleted = this.#kept(name);
    if (deleted === undefined || deleted.settledAtMs > this.#nowMs) throw this.#notFound(name);
    return deleted;
  }

  /** Brings an object back. It arrives after the time that a recovery takes. @throws Answer */
  recover(name: string): T {
    const { item } = this.#settled(name);
    this.#deleted.delete(name.toLowerCase());
    this.#live.set(name.toLowerCase(), { item, arrivesAtMs: this.#nowMs + this.#rules.transitionMs });
    return item;
  }

  /** @throws Answer also where purge protection is on */
  purge(name: string): void {
    this.#settled(name);
    if (this.#rules.isPurgeProtected) {
      throw new Answer(403, { code: "Forbidden", message: "Purge protection is on.", innerCode: "ForbiddenByPolicy" });
    }
    this.#deleted.delete(name.toLowerCase());
  }

  /** Removes every object of this name, deleted ones included. */
  forget(name: string): void {
    this.#live.delete(name.toLowerCase());
    this.#deleted.delete(name.toLowerCase());
  }

  /** Returns the object to which a version of this name would belong, if there is one. @throws Answer for what is no name, or is taken */
  protected known(name: string): T | undefined {
    if (!/^[0-9a-z-]{1,127}$/i.test(name)) throw badParameter("A name has 1 to 127 letters, digits and hyphens.");
    const live = this.#live.get(name.toLowerCase());
    if (live !== undefined && live.arrivesAtMs > this.#nowMs) throw conflict(name, "ObjectIsBeingRecovered", "is being recovered");
    const deleted = this.#kept(name);
    if (deleted === undefined) return live?.item;
    if (deleted.settledAtMs > this.#nowMs) throw beingDeleted(name);
    throw conflict(name, "ObjectIsDeletedButRecoverable", "is deleted and can be recovered or purged; until then its name is taken");
  }

  protected put(item: T): void {
    this.#live.set(item.name.toLowerCase(), { item, arrivesAtMs: 0 });
  }

  #settled(name: string): Deleted<T> {
    const deleted = this.#kept(name);
    if (deleted === undefined) throw this.#notFound(name);
    if (deleted.settledAtMs > this.#nowMs) throw beingDeleted(name);
    return deleted;
  }

  #kept(name: string): (Deleted<T> & { readonly settledAtMs: number }) | undefined {
    const deleted = this.#deleted.get(name.toLowerCase());
    return deleted !== undefined && isKept(deleted, this.#nowMs) ? deleted : undefined;
  }

  get #nowMs(): number {
    return this.#rules.clock.unixMs();
  }
}

/** Changes the attributes of a version that a request names. Those that are undefined stay. */
export function changeVersion<V extends { updated: number }>(
  version: V,
  changes: { readonly [Name in keyof V]?: V[Name] | undefined },
  nowSeconds: number,
): void {
  Object.assign(version, Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)), { updated: nowSeconds });
}

function isKept({ scheduledPurgeDate }: Deleted<unknown>, nowMs: number): boolean {
  return scheduledPurgeDate > nowMs / 1000;
}

function beingDeleted(name: string): Answer {
  return conflict(name, "ObjectIsBeingDeleted", "is being deleted");
}

function conflict(name: string, innerCode: string, state: string): Answer {
  return new Answer(409, { code: "Conflict", message: `${name} ${state}.`, innerCode });
}

const DAY_SECONDS = 86_400;
