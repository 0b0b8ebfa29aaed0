import type { Command } from "commander";
import type { Context } from "../../core/base/context.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import type { StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { type InspectedRecipient, inspectKeyRecord } from "../../core/keyring/inspect.ts";
import { contextOfScope, purposeOf } from "../../fields/scope.ts";
import { columns } from "../columns.ts";
import { addStoreOptions, type StoreOptions, withStore } from "../open-store.ts";
import { addDebugOption, addScopeOption, type ScopeOptions } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { plainError, scopeLine, tellRow } from "./describe.ts";
import { everyRow } from "./job.ts";

interface ListOptions extends StoreOptions, ScopeOptions {
  readonly json?: boolean;
  readonly debug?: boolean;
}

export function addKeysList(group: Command): void {
  const command = group
    .command("list")
    .summary("show the data keys, without any key")
    .description(
      "Shows each data key of the store: whose it is, its version and state, and which keys can unwrap it. Nothing is verified.",
    );
  addStoreOptions(command);
  addScopeOption(command);
  command.option("--json", "as JSON");
  addDebugOption(command);
  command.action(list);
}

async function list({ scope = {}, json = false, ...options }: ListOptions): Promise<void> {
  const listed: ListedKey[] = [];
  await withStore(options, async (store) => {
    for await (const row of everyRow(store)) {
      const context = contextOfScope(row.scope);
      if (Object.entries(scope).every(([key, value]) => context?.[key] === value)) listed.push(listedKey(row, context));
    }
  });
  listed.sort(byScope);
  await printLines(json ? terminalJson(listed.map(plain)) : table(listed));
  for (const { scope: context, version, defect } of listed) {
    if (defect === undefined) continue;
    tellRow(defect, options.debug === true, context, version);
    process.exitCode = 1;
  }
}

function plain({ defect, ...key }: ListedKey): unknown {
  return defect === undefined ? key : { ...key, defect: plainError(defect) };
}

/** The store's own order is that of an encoding. */
function byScope(a: ListedKey, b: ListedKey): number {
  const [one, other] = [scopeLine(a.scope), scopeLine(b.scope)];
  if (one === other) return a.version - b.version;
  return one < other ? -1 : 1;
}

interface ListedKey {
  /** Undefined if the row does not say what can be read. */
  readonly scope: Context | undefined;
  readonly purpose: string;
  readonly version: number;
  readonly state: string;
  readonly created: string;
  readonly kid: string;
  readonly recipients: readonly InspectedRecipient[];
  readonly defect?: EnvelockError;
}

/** One bad row does not hide the others: what can be read of it is shown, and what is wrong with it is in `defect`. */
function listedKey({ record, version, state, createdAtMs, kid }: StoredDataKey, scope: Context | undefined): ListedKey {
  const created = dateOf(createdAtMs);
  const row = { scope, purpose: purposeOf(scope ?? {}), version, state, created: created ?? "?", kid };
  if (state === "unreadable") return { ...row, created: "?", recipients: [], defect: malformed("the row cannot be read") };
  if (scope === undefined) return { ...row, recipients: [], defect: malformed("the text of its scope stands for no scope") };
  if (created === undefined) return { ...row, recipients: [], defect: malformed("its time of making is none") };
  try {
    return { ...row, recipients: record === null ? [] : inspectKeyRecord(record).recipients };
  } catch (error) {
    if (error instanceof EnvelockError) return { ...row, recipients: [], defect: error };
    throw error;
  }
}

function dateOf(unixMs: number): string | undefined {
  const date = new Date(unixMs);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

function table(listed: readonly ListedKey[]): string {
  const rows = listed.map(({ scope, purpose, version, state, created, kid, recipients }) => [
    scopeLine(scope),
    purpose,
    `${version}`,
    state,
    created.slice(0, 10),
    kid,
    recipients.map(({ keyId }) => terminalText(keyId)).join(", "),
  ]);
  return columns([["scope", "for", "version", "state", "created", "kid", "wrapped by"], ...rows]);
}
