import { RecentMap } from "../../core/base/recent-map.ts";
import type { TenantAuditEvent } from "./events.ts";

/** Takes one event. A promise holds back the tenant's next event until it settles. */
export type TenantSink = (event: TenantAuditEvent) => unknown;

/**
 * Hands events to a sink of the caller's, one after the other for each tenant. A slow or failing sink blocks no call: beyond the bound of a
 * tenant's queue its events are dropped and counted.
 */
export class AuditQueue {
  readonly #sink: TenantSink | undefined;
  readonly #maxQueued: number;
  readonly #queues = new Map<string, TenantAuditEvent[]>();
  readonly #dropped: RecentMap<string, number> = new RecentMap({ maxEntries: MOST_COUNTS });
  #droppedInAll = 0;

  constructor(sink: TenantSink | undefined, maxQueued: number) {
    this.#sink = sink;
    this.#maxQueued = maxQueued;
  }

  get isListening(): boolean {
    return this.#sink !== undefined;
  }

  /** The number of events that were dropped, of one tenant or of all. */
  dropped(tenant?: string): number {
    return tenant === undefined ? this.#droppedInAll : (this.#dropped.peek(tenant) ?? 0);
  }

  emit(tenant: string, event: TenantAuditEvent): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    const waiting = this.#queues.get(tenant);
    if (waiting === undefined) this.#tell(sink, tenant, event);
    else if (waiting.length < this.#maxQueued) waiting.push(event);
    else {
      this.#droppedInAll++;
      this.#dropped.set(tenant, this.dropped(tenant) + 1);
    }
  }

  /** Tells the sink at once. A queue begins only behind a promise. */
  #tell(sink: TenantSink, tenant: string, event: TenantAuditEvent): void {
    const pending = told(sink, event);
    if (pending === undefined) return;
    this.#queues.set(tenant, []);
    void this.#drain(sink, tenant, pending);
  }

  async #drain(sink: TenantSink, tenant: string, first: Promise<unknown>): Promise<void> {
    await first;
    for (let next = this.#queues.get(tenant)?.shift(); next !== undefined; next = this.#queues.get(tenant)?.shift()) await told(sink, next);
    this.#queues.delete(tenant);
  }
}

/** @returns a promise that never rejects, or undefined if the sink has taken the event */
function told(sink: TenantSink, event: TenantAuditEvent): Promise<unknown> | undefined {
  try {
    const answer = sink(event);
    return isThenable(answer) ? Promise.resolve(answer).catch(() => undefined) : undefined;
  } catch {
    return undefined;
  }
}

/** Promises of other realms and libraries hold back events too. */
function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  return typeof answer === "object" && answer !== null && "then" in answer && typeof answer.then === "function";
}

const MOST_COUNTS = 10_000;
