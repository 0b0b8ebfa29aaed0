import { check, failureOf } from "../../core/contracts/conformance-checks.ts";
import type { StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { type Bench, type Case, checkStands, insert, newRow, newScope } from "./bench.ts";

export function lifecycleCases(): readonly Case[] {
  return [
    { name: "an aborted signal stops it before anything is done", run: heedsSignal },
    { name: "close twice is fine, and leaves others open", run: closes },
  ];
}

async function heedsSignal({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newRow(newScope());
  await insert(store, row);
  const other: StoredDataKey = newRow(row.scope, { version: 2 });
  const reason = new Error("the caller's reason");
  const options = { signal: AbortSignal.abort(reason) };
  const operations: readonly [string, () => Promise<unknown>][] = [
    ["byKid", () => store.byKid(row.scope, row.kid, options)],
    ["list", () => store.list(row.scope, options)],
    ["insertIfAbsent", () => store.insertIfAbsent(other, options)],
    ["compareAndSwap", () => store.compareAndSwap({ ...row, state: "retired", revision: 2 }, 1, options)],
    ["scan", () => store.scan({ limit: 1 }, options)],
  ];
  for (const [name, operation] of operations) {
    const failure = await failureOf(operation, `${name} with an aborted signal`);
    check(failure === reason, `${name} with an aborted signal must fail with the signal's own reason`);
  }
  await checkStands(store, row, "after calls that were aborted");
  check((await store.list(row.scope)).length === 1, "an insert that was aborted must leave no row");
}

async function closes({ open }: Bench): Promise<void> {
  const [one, other] = [await open(), await open()];
  const row = newRow(newScope());
  await insert(one, row);
  await one.close?.();
  await one.close?.();
  await checkStands(other, row, "of a store beside one that was closed");
}
