import type { Context } from "../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import type { RowPlace } from "../core/contracts/data-key-store.ts";
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
import { type CallBudget, checkedBudgets, kindOfVerification, requireNotRefused, takeCalls, type Verification } from "./rewrap-terms.ts";
import type { Cuts, FailedPlace, JobWork, SliceTask } from "./work.ts";

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
  const known = (scope: Context): EnvelockError | undefined => {
    const tenant = tenantIn(scope); // "" is a tenant too
    return tenant === undefined ? undefined : refused.get(tenant);
  };
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
  const start = { ...startOf(from, after, to), to: scopeIn(to), isRange: true, counts, keyVersions };
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

/** @throws `provider-failure` for a checkpoint outside of its partition: rows would be stepped over, or done by two workers */
function startOf(from: Bound | null, after: Place | null, to: Bound | null): { readonly after?: RowPlace } {
  const [first, last] = [scopeIn(from), scopeIn(to)];
  if (after === null) return first === undefined ? {} : { after: behindScope(first) };
  if (typeof after !== "object" || (first !== undefined && after.scope <= first) || (last !== undefined && after.scope > last))
    throw new EnvelockError("provider-failure", "the store holds a partition of data keys whose checkpoint lies outside of it");
  return { after };
}

function scopeIn(bound: Bound | null | undefined): string | undefined {
  if (bound === null || bound === undefined) return undefined;
  if (typeof bound === "string") return bound;
  throw new EnvelockError("provider-failure", "the store holds a partition of data keys whose end is no scope");
}
