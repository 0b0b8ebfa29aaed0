import type { Context } from "../core/base/context.ts";
import { type EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { count, positive } from "../core/resilience/checks.ts";
import { isOfAllRows } from "../fields/jobs/failures.ts";
import type { SliceTask } from "./work.ts";

// What the rewraps of data keys and of blobs have in common.

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

export type Verification = "names" | "unwrap";

/** Returns what the kind of a job says of its verification. @throws `invalid-argument` */
export function kindOfVerification(verification: Verification = "names"): "" | "+unwrap" {
  if (verification !== "names" && verification !== "unwrap") throw invalidArgument("verification is names or unwrap");
  return verification === "unwrap" ? "+unwrap" : "";
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
  if (limit * share < SLOWEST)
    throw invalidArgument("a budget lets the job make less than one call in a day", "perSecond times share is too small.");
  return { perSecond: limit, share, callsEach: count(callsEach, "callsEach", 1000), of };
}

/** One call in a day. */
const SLOWEST = 1 / 86_400;
/** The rows of one page that fail alike before the job ends. */
const MANY_ROWS = 64;
const BUDGET_OPTIONS: OptionNames<CallBudget> = { perSecond: true, share: true, callsEach: true, of: true };
