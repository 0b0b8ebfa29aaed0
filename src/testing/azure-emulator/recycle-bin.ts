import type { Clock } from "../../core/base/clock.ts";
import { Answer } from "./answer.ts";

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

/**
 * The deleted objects of one kind. Each holds its name until it is purged. A deletion and a recovery take their time: meanwhile the object
 * is in neither place, and every other request about it is a conflict.
 */
export class RecycleBin<T> {
  readonly #rules: DeletionRules;
  readonly #notFound: (name: string) => Answer;
  readonly #deleted = new Map<string, Deleted<T> & { readonly settledAtMs: number }>();
  /** The objects on their way back, with the time of their arrival. */
  readonly #arrivals = new Map<string, number>();

  constructor(rules: DeletionRules, notFound: (name: string) => Answer) {
    this.#rules = rules;
    this.#notFound = notFound;
  }

  /** Returns what can be recovered. */
  get all(): readonly Deleted<T>[] {
    return [...this.#deleted.values()].filter((deleted) => deleted.settledAtMs <= this.#nowMs && isKept(deleted, this.#nowMs));
  }

  add(name: string, item: T): Deleted<T> {
    const deletedDate = Math.floor(this.#nowMs / 1000);
    const scheduledPurgeDate = deletedDate + this.#rules.retentionDays * DAY_SECONDS;
    const deleted = { item, deletedDate, scheduledPurgeDate, settledAtMs: this.#nowMs + this.#rules.transitionMs };
    this.#deleted.set(name.toLowerCase(), deleted);
    return deleted;
  }

  /** @throws Answer */
  find(name: string): Deleted<T> {
    const deleted = this.#kept(name);
    if (deleted === undefined || deleted.settledAtMs > this.#nowMs) throw this.#notFound(name);
    return deleted;
  }

  /** Takes an object out. It arrives after the time that a recovery takes. @throws Answer */
  recover(name: string): Deleted<T> {
    const deleted = this.#settled(name);
    this.#deleted.delete(name.toLowerCase());
    this.#arrivals.set(name.toLowerCase(), this.#nowMs + this.#rules.transitionMs);
    return deleted;
  }

  /** @throws Answer also where purge protection is on */
  purge(name: string): void {
    this.#settled(name);
    if (this.#rules.isPurgeProtected) {
      throw new Answer(403, { code: "Forbidden", message: "Purge protection is on.", innerCode: "ForbiddenByPolicy" });
    }
    this.#deleted.delete(name.toLowerCase());
  }

  forget(name: string): void {
    this.#deleted.delete(name.toLowerCase());
    this.#arrivals.delete(name.toLowerCase());
  }

  isArriving(name: string): boolean {
    return (this.#arrivals.get(name.toLowerCase()) ?? 0) > this.#nowMs;
  }

  /** @throws Answer while a deleted object has the name */
  requireFree(name: string): void {
    const deleted = this.#kept(name);
    if (this.isArriving(name)) throw conflict(name, "ObjectIsBeingRecovered", "is being recovered");
    if (deleted === undefined) return;
    if (deleted.settledAtMs > this.#nowMs) throw conflict(name, "ObjectIsBeingDeleted", "is being deleted");
    throw conflict(name, "ObjectIsDeletedButRecoverable", "is deleted and can be recovered or purged; until then its name is taken");
  }

  #settled(name: string): Deleted<T> {
    const deleted = this.#kept(name);
    if (deleted === undefined) throw this.#notFound(name);
    if (deleted.settledAtMs > this.#nowMs) throw conflict(name, "ObjectIsBeingDeleted", "is being deleted");
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

function isKept({ scheduledPurgeDate }: Deleted<unknown>, nowMs: number): boolean {
  return scheduledPurgeDate > nowMs / 1000;
}

function conflict(name: string, innerCode: string, state: string): Answer {
  return new Answer(409, { code: "Conflict", message: `${name} ${state}.`, innerCode });
}

const DAY_SECONDS = 86_400;
