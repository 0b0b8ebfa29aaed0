import { isDeepStrictEqual } from "node:util";
import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import { sleep } from "../../core/base/wait.ts";

/** What `requireClosing` checks: one tenant closes within its bound, and nothing of others changes. */
export interface ClosingCheck {
  /** The tenant that closes. */
  readonly tenant: string;
  /** The tenants that must stay as they are. They must be open before. */
  readonly others: readonly string[];
  /**
   * Reads something of a tenant's as the application does: by every path, and in every process, that may keep a data key. It resolves to
   * what it read, and rejects if the tenant is closed.
   */
  readonly read: (tenant: string) => Promise<unknown>;
  /** Takes the key away, or suspends the tenant. The time counts from its end. */
  readonly close: () => unknown;
  /** The time within which the tenant closes, such as `revocationBoundMs` of `healthOf`. */
  readonly boundMs: number;
  /** The time for which the tenant must stay closed afterwards. Default `boundMs`. */
  readonly staysClosedMs?: number;
  /** The pause between two reads. Default a fiftieth of `boundMs`, and at least 1. */
  readonly everyMs?: number;
  /**
   * Whether the error of a read means that the tenant is closed. Any other error fails the check, so that an outage or a slip in `read`
   * does not pass for it. Default: an `EnvelockError` of the codes `access-denied`, `key-disabled`, `key-not-found` and `key-shredded`.
   */
  readonly isClosed?: (error: unknown) => boolean;
  /** Gives what must stay the same for another tenant, such as its record. Compared by value. Default: nothing. */
  readonly stateOf?: (tenant: string) => unknown;
  /** The time source. With a `TestClock` the check moves the time. Default: that of the machine. */
  readonly clock?: Clock & { advance?(ms: number): Promise<void>; finish?<T>(work: Promise<T>): Promise<T> };
}

export interface ClosingReport {
  /** The time at which the first read found the tenant closed. */
  readonly closedAfterMs: number;
  readonly boundMs: number;
  /** The reads of this tenant and of others. */
  readonly reads: number;
}

/**
 * Checks that a tenant closes within its bound and stays closed, while others can be read as before.
 *
 * @returns when it closed
 * @throws `provider-failure` if it is open after the bound, or opens again, or fails with another error than a refusal, and if another
 *   tenant closes or changes; `invalid-argument` for bad options, and for a tenant that was not open before
 * @example
 * ```ts
 * import type { Tenants } from "envelock/tenants";
 * import { requireClosing } from "envelock/testing/tenants";
 *
 * export async function closesWhenSuspended(tenants: Tenants, read: (tenant: string) => Promise<string>) {
 *   const { revocationBoundMs: boundMs } = await tenants.healthOf("acme");
 *   const close = () => tenants.suspend("acme");
 *   return await requireClosing({ tenant: "acme", others: ["globex"], read, close, boundMs });
 * }
 * ```
 */
export async function requireClosing(check: ClosingCheck): Promise<ClosingReport> {
  const run = new ClosingRun(checkedOptions(check));
  await run.begin();
  return await run.end();
}

type Checked = ClosingCheck & Required<Pick<ClosingCheck, "staysClosedMs" | "everyMs" | "isClosed" | "clock">>;

type Outcome = { readonly value: unknown } | { readonly error: unknown };

class ClosingRun {
  readonly #check: Checked;
  readonly #before = new Map<string, { readonly value: unknown; readonly state: unknown }>();
  #reads = 0;

  constructor(check: Checked) {
    this.#check = check;
  }

  /** Notes what every tenant gives while all is well. */
  async begin(): Promise<void> {
    const { tenant, others } = this.#check;
    for (const id of [tenant, ...others]) {
      const outcome = await this.#read(id);
      if ("error" in outcome) {
        throw new EnvelockError("invalid-argument", `tenant ${id} must be open before the check, and its read failed`, {
          cause: outcome.error,
          hint: "Make `read` succeed first: what was never open cannot be seen to close.",
        });
      }
      this.#before.set(id, { value: outcome.value, state: await this.#stateOf(id) });
    }
  }

  async end(): Promise<ClosingReport> {
    const { close, clock, tenant, others, boundMs, staysClosedMs, everyMs } = this.#check;
    await this.#wait(Promise.resolve(close()));
    const begunAtMs = clock.monotonicMs();
    let closedAfterMs: number | undefined;
    for (;;) {
      const atMs = clock.monotonicMs() - begunAtMs;
      const isClosed = await this.#isClosed(tenant, atMs);
      if (isClosed) closedAfterMs ??= atMs;
      else if (closedAfterMs !== undefined)
        throw failed(`tenant ${tenant} closed after ${whole(closedAfterMs)} ms, and was open again after ${whole(atMs)} ms`);
      else if (atMs > boundMs)
        throw failed(`tenant ${tenant} is open ${whole(atMs)} ms after its key was taken away, beyond the bound of ${boundMs} ms`);
      for (const other of others) await this.#requireUntouched(other, atMs);
      if (closedAfterMs !== undefined && atMs >= closedAfterMs + staysClosedMs) return { closedAfterMs, boundMs, reads: this.#reads };
      const pauseMs = closedAfterMs === undefined && atMs <= boundMs ? Math.min(everyMs, boundMs - atMs + 1) : everyMs;
      await this.#pass(pauseMs);
    }
  }

  async #isClosed(id: string, atMs: number): Promise<boolean> {
    const outcome = await this.#read(id);
    if (!("error" in outcome)) return false;
    if (this.#check.isClosed(outcome.error)) return true;
    throw failed(`the read of tenant ${id} failed after ${whole(atMs)} ms with an error that is no refusal of its key`, outcome.error);
  }

  async #requireUntouched(id: string, atMs: number): Promise<void> {
    const before = this.#before.get(id);
    const outcome = await this.#read(id);
    if ("error" in outcome) throw failed(`tenant ${id} lost nothing, and its read failed after ${whole(atMs)} ms`, outcome.error);
    if (!isDeepStrictEqual(outcome.value, before?.value))
      throw failed(`tenant ${id} lost nothing, and its read gave something else after ${whole(atMs)} ms`);
    if (!isDeepStrictEqual(await this.#stateOf(id), before?.state))
      throw failed(`tenant ${id} lost nothing, and its state was changed within ${whole(atMs)} ms`);
  }

  async #read(id: string): Promise<Outcome> {
    this.#reads++;
    try {
      return { value: await this.#wait(this.#check.read(id)) };
    } catch (error) {
      return { error };
    }
  }

  async #stateOf(id: string): Promise<unknown> {
    return await this.#wait(Promise.resolve(this.#check.stateOf?.(id)));
  }

  async #wait<T>(work: Promise<T>): Promise<T> {
    const { clock } = this.#check;
    return clock.finish === undefined ? await work : await clock.finish(work);
  }

  async #pass(ms: number): Promise<void> {
    const { clock } = this.#check;
    await (clock.advance === undefined ? sleep(clock, ms) : clock.advance(ms));
  }
}

function checkedOptions(check: ClosingCheck): Checked {
  refuseUnknown(check, OPTIONS, "requireClosing");
  const { tenant, others, read, close, boundMs, stateOf, clock = systemClock, isClosed = isRefusal } = check;
  if (typeof tenant !== "string" || tenant === "") throw invalidArgument("tenant is the id of the tenant that closes");
  if (!Array.isArray(others) || others.length === 0 || !others.every((id) => typeof id === "string" && id !== tenant))
    throw invalidArgument(
      "others is an array of the ids of other tenants, at least one",
      "A check without a neighbour cannot see that one was closed.",
    );
  for (const [name, method] of Object.entries({ read, close, isClosed, ...(stateOf !== undefined && { stateOf }) }))
    if (typeof method !== "function") throw invalidArgument(`${name} must be a function`);
  if (typeof clock?.monotonicMs !== "function" || typeof clock.after !== "function") throw invalidArgument("clock must be a Clock");
  const { everyMs = Math.max(1, positive(boundMs, "boundMs") / 50), staysClosedMs = boundMs } = check;
  return { ...check, clock, isClosed, everyMs: positive(everyMs, "everyMs"), staysClosedMs: positive(staysClosedMs, "staysClosedMs") };
}

function positive(value: number, name: string): number {
  if (typeof value === "number" && value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw invalidArgument(`${name} is ${shownValue(value)}, expected a number above 0`);
}

function isRefusal(error: unknown): boolean {
  return EnvelockError.is(error) && REFUSALS.has(error.code);
}

function failed(message: string, cause?: unknown): EnvelockError {
  return new EnvelockError("provider-failure", `closing: ${message}`, { cause });
}

function whole(ms: number): number {
  return Math.round(ms);
}

const REFUSALS: ReadonlySet<string> = new Set(["access-denied", "key-disabled", "key-not-found", "key-shredded"]);
const OPTIONS: OptionNames<ClosingCheck> = {
  tenant: true,
  others: true,
  read: true,
  close: true,
  boundMs: true,
  staysClosedMs: true,
  everyMs: true,
  isClosed: true,
  stateOf: true,
  clock: true,
};
