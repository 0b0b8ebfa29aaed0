import type { Context } from "../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { count, positive } from "../core/resilience/checks.ts";
import { type DataKeys, keyTableOf } from "../fields/data-keys.ts";
import { isOfAllRows } from "../fields/jobs/failures.ts";
import type { FailedRow } from "../fields/jobs/key-rows.ts";
import { namesIn } from "../fields/jobs/key-versions.ts";
import { rewrapSlice, type SliceWatch } from "../fields/jobs/rewrap-slice.ts";
import type { KeyJobOptions } from "../fields/jobs/scope-keyrings.ts";
import { behindScope } from "../fields/jobs/walked-cuts.ts";
import type { KeyTable, Scope } from "../fields/key-table.ts";
import { contextOfScope, contextWithoutPurpose } from "../fields/scope.ts";
import { type Bound, callWith, countOf, type Place } from "./records.ts";
import type { Cuts, FailedPlace, JobWork, SliceTask } from "./work.ts";

/** A limit of calls of key services, for the whole fleet. */
export interface CallBudget {
  /** The calls in a second that the key service allows, of which the job takes `share`. */
  readonly perSecond: number;
  /** The share of them that the job may take, above 0 and at most 1. The rest is left for the application. Default 0.2. */
  readonly share?: number;
  /** The calls that a record takes: an unwrap, a wrap and the unwrap that checks it. Default 3. */
  readonly callsEach?: number;
  /**
   * Names the payer of the calls of a scope, such as its tenant or its account. Each payer has the limit for itself. Returns undefined for a
   * scope without a limit. By default all scopes share one.
   */
  readonly of?: (scope: Context) => string | undefined;
}

export interface RewrapWorkOptions extends Pick<KeyJobOptions, "keyringOf"> {
  readonly dataKeys: DataKeys;
  /** Limits of calls of key services. Default: none. */
  readonly budgets?: readonly CallBudget[];
  /**
   * What the verification does with each record. `names` counts the KEK versions that it names, without a call. `unwrap` also unwraps its data
   * key, a call for each record. Default `names`. The same in every process of a job.
   */
  readonly verification?: Verification;
}

export type Verification = "names" | "unwrap";

/** Returns what the kind of a job says of its verification. @throws `invalid-argument` */
export function kindOfVerification(verification: Verification = "names"): "" | "+unwrap" {
  if (verification !== "names" && verification !== "unwrap") throw invalidArgument("verification is names or unwrap");
  return verification === "unwrap" ? "+unwrap" : "";
}

interface RewrapTerms {
  readonly keyringOf: KeyJobOptions["keyringOf"];
  readonly limits: readonly Required<CallBudget>[];
  /** Whether each record is unwrapped. */
  readonly opens: boolean;
}

/** Makes the work of a rewrap of stored data keys. @throws `invalid-argument`, `closed` */
export function rewrapWork({ dataKeys, keyringOf, budgets = [], verification }: RewrapWorkOptions): JobWork {
  const table = keyTableOf(dataKeys);
  if (keyringOf !== undefined && typeof keyringOf !== "function") throw invalidArgument("keyringOf is a function");
  const limits = checkedBudgets(budgets);
  return {
    kind: `rewrap-keys/1${kindOfVerification(verification)}`,
    hasVerify: true,
    rates: limits.map(({ perSecond, share }) => perSecond * share),
    prepare: async (signal) => (keyringOf === undefined ? await targetOf(table, signal) : null),
    cuts: ({ after, to, ...wanted }: Cuts, signal) => table.cuts({ ...wanted, after: scopeIn(after), to: scopeIn(to) }, callWith(signal)),
    run: (task) => runSlice(table, { keyringOf, limits, opens: task.phase === "verify" && verification === "unwrap" }, task),
  };
}

/** The KEK versions of new data keys. They open here, so that a worker that could not read its own wraps never begins. */
async function targetOf(table: KeyTable, signal: AbortSignal | undefined): Promise<readonly string[]> {
  return namesIn({ recipients: await table.trial(callWith(signal)) });
}

async function runSlice(table: KeyTable, { keyringOf, limits, opens }: RewrapTerms, task: SliceTask): Promise<boolean> {
  const { phase, from, to, after, counts, keyVersions, concurrency, signal, refused } = task;
  const known = (scope: Context): EnvelockError | undefined => refused.get(tenantIn(scope) ?? "");
  const watch: SliceWatch = {
    async before({ context }) {
      const scope = contextWithoutPurpose(context.map);
      const refusal = keyringOf && known(scope);
      if (refusal !== undefined) throw refusal;
      await takeCalls(limits, scope, task);
    },
    failed: (scope, error) => noteRefusal(scope, error, keyringOf, refused),
  };
  const own: KeyJobOptions["keyringOf"] =
    keyringOf &&
    (async (scope) => {
      const refusal = known(scope);
      if (refusal !== undefined) throw refusal;
      return await keyringOf(scope);
    });
  const options = {
    dryRun: phase === "verify",
    opens,
    concurrency,
    watch,
    ...callWith(signal),
    ...(own !== undefined && { keyringOf: own }),
  };
  const start = { ...startOf(from, after), to: scopeIn(to), counts, keyVersions };
  let rewrapped = countOf(counts, "rewrapped");
  const { isOver } = await rewrapSlice(table, options, start, async ({ last, counts: now, keyVersions: names, failed }) => {
    if (keyringOf === undefined)
      requireNotRefused(
        failed.map(({ error }) => error),
        countOf(now, "rewrapped") > rewrapped,
      );
    rewrapped = countOf(now, "rewrapped");
    return await task.afterPage({
      last,
      counts: now,
      keyVersions: names,
      failed: failed.map((row) => failedPlace(row, keyringOf !== undefined)),
    });
  });
  return isOver;
}

/** Lets the other rows of a tenant be stepped over, in this page and in those behind it. */
function noteRefusal({ context }: Scope, error: unknown, keyringOf: unknown, refused: Map<string, EnvelockError>): void {
  const tenant = tenantIn(context.map);
  if (keyringOf !== undefined && tenant !== undefined && error instanceof EnvelockError && isOfAllRows(error)) refused.set(tenant, error);
}

function failedPlace({ place: { scope, version }, error }: FailedRow, areApart: boolean): FailedPlace {
  const tenant = areApart && isOfAllRows(error) ? tenantIn(contextOfScope(scope)) : undefined;
  return { place: `${scope}/${version}`, error, tenant, isThrottled: !areApart && error.retryable };
}

/** The tenant of a scope, by the pair that the library's own tenants have. */
function tenantIn({ tenant }: Context = {}): string | undefined {
  return tenant;
}

function startOf(from: Bound | null, after: Place | null): { readonly after?: { readonly scope: string; readonly version: number } } {
  if (typeof after === "object" && after !== null) return { after };
  const scope = scopeIn(from);
  return scope === undefined ? {} : { after: behindScope(scope) };
}

function scopeIn(bound: Bound | null | undefined): string | undefined {
  if (bound === null || bound === undefined) return undefined;
  if (typeof bound === "string") return bound;
  throw new EnvelockError("provider-failure", "the store holds a partition of data keys whose end is no scope");
}

/** Checks the budgets of a job. @throws `invalid-argument` */
export function checkedBudgets(budgets: readonly CallBudget[]): readonly Required<CallBudget>[] {
  if (!Array.isArray(budgets)) throw invalidArgument("budgets is a list of budgets");
  return budgets.map(checkedBudget);
}

/** Waits until the fleet may make the calls for one record of a scope. */
export async function takeCalls(limits: readonly Required<CallBudget>[], scope: Context, task: SliceTask): Promise<void> {
  for (const [budget, { callsEach, of }] of limits.entries()) {
    const bucket = of(scope);
    if (bucket !== undefined) await task.take(budget, bucket, task.phase === "verify" ? 1 : callsEach);
  }
}

/**
 * Ends a slice where one keyring is refused for all rows of a large page: it would be asked once for each row of the table.
 *
 * @throws the failure of the first row
 */
export function requireNotRefused(failed: readonly EnvelockError[], wasOneRewrapped: boolean): void {
  const [first] = failed;
  const isAllRefused = failed.length >= MANY_ROWS && failed.every((error) => isOfAllRows(error) && !error.retryable);
  if (first !== undefined && isAllRefused && !wasOneRewrapped) throw first;
}

function checkedBudget(budget: CallBudget): Required<CallBudget> {
  refuseUnknown(budget, BUDGET_OPTIONS, "budgets");
  const { perSecond, share = 0.2, callsEach = 3, of = () => "fleet" } = budget;
  if (!(positive(share, "share") <= 1)) throw invalidArgument("share of a budget is a number above 0 and at most 1");
  if (typeof of !== "function") throw invalidArgument("of of a budget is a function");
  const limit = positive(perSecond, "perSecond");
  if (!Number.isFinite(limit)) throw invalidArgument("perSecond of a budget is a finite number", "Leave the budget out for none.");
  return { perSecond: limit, share, callsEach: count(callsEach, "callsEach", 1000), of };
}

/** The rows of one page that fail alike before the job ends. */
const MANY_ROWS = 64;
const BUDGET_OPTIONS: OptionNames<CallBudget> = { perSecond: true, share: true, callsEach: true, of: true };
