import { type Command, Option } from "commander";
import type { TenantReport, UnreadableTenant } from "../../tenants/index.ts";
import { columns } from "../columns.ts";
import { usageError } from "../failure.ts";
import { wholeNumber } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { plainTenant, tellUnreadable, timeText } from "./describe.ts";
import { addTenantKeysOptions, requireDataKeys, type TenantKeysOptions, withTenantKeys } from "./open-tenants.ts";

interface HealthOptions extends TenantKeysOptions {
  readonly check?: boolean;
  readonly countRecords?: boolean;
  readonly maxRows?: number;
}

export function addTenantHealth(group: Command): void {
  const command = group
    .command("health")
    .argument("[id]", "of one tenant; all of them without it")
    .summary("show who is in trouble, and how fast a revocation closes")
    .description(
      "Shows state and last change of health of each tenant, the party that can end a trouble, and the time within which a key that is " +
        "taken away closes its data. Exit code 1 if a check failed, or if the record of a tenant cannot be read.",
    );
  addTenantKeysOptions(command)
    .option("--check", "ask the tenant's keys now: needs an id")
    .option("--count-records", "also count the data keys by the key versions that they name: one pass over --data-keys")
    .addOption(new Option("--max-rows <count>", "the most rows that the pass reads (default: 1,000,000)").argParser(rowsOf));
  command.action(health);
}

async function health(id: string | undefined, options: HealthOptions): Promise<void> {
  const { countRecords = false, maxRows, json = false, debug = false } = options;
  if (options.check === true && id === undefined) throw usageError("--check needs the id of a tenant", "name one whose keys are asked");
  if (countRecords) requireDataKeys(options);
  const counting = { countRecords, ...(maxRows !== undefined && { maxRows }) };
  const found: (TenantReport | UnreadableTenant)[] = [];
  await withTenantKeys(options, async (tenants) => {
    if (id !== undefined && options.check === true) {
      for (const { error } of await tenants.checkHealth(id)) if (error !== undefined) process.exitCode = 1;
    }
    if (id !== undefined) found.push(await tenants.healthOf(id, counting));
    else for await (const report of tenants.health(counting)) found.push(report);
  });
  const reports = found.filter((report): report is TenantReport => !("error" in report));
  if (json) await printLines(terminalJson(found.map(plainTenant)));
  else await printLines(countRecords ? `${table(reports)}\n\n${recordTable(reports)}` : table(reports));
  tellUnreadable(found, debug);
}

function table(reports: readonly TenantReport[]): string {
  const rows = reports.map(({ tenant, state, sinceMs, outcome, whose, revocationBoundMs, keys }) => [
    terminalText(tenant),
    state,
    timeText(sinceMs).slice(0, 19),
    outcome ?? "-",
    whose ?? "-",
    `${Math.ceil(revocationBoundMs / 1000)} s`,
    keys.map(({ number, kind, expiry }) => `${number} ${kind}${EXPIRIES[expiry] ?? ""}`).join(", "),
  ]);
  return columns([["tenant", "state", "since", "health", "whose", "closes within", "keys"], ...rows]);
}

/** One line for each key version of each tenant, and one for the records that cannot be read. */
function recordTable(reports: readonly TenantReport[]): string {
  const rows = reports.flatMap(({ tenant, records }) => {
    if (records === undefined) return [];
    const { keyVersions, unreadable, isComplete } = records;
    const lines = keyVersions.map(({ provider, keyId, records: count }) => [`${isComplete ? "" : ">="}${count}`, provider, keyId]);
    if (unreadable > 0) lines.push([`${isComplete ? "" : ">="}${unreadable}`, "-", "unreadable"]);
    return lines.map(([count = "", provider = "", keyId = ""]) => [terminalText(tenant), count, provider, terminalText(keyId)]);
  });
  return columns([["tenant", "data keys", "provider", "wrapped by"], ...rows]);
}

function rowsOf(text: string): number {
  return wholeNumber("--max-rows", text, { least: 1, most: 1_000_000_000, hint: "leave it out for 1,000,000" });
}

const EXPIRIES: Readonly<Partial<Record<TenantReport["keys"][number]["expiry"], string>>> = {
  "within-30-days": " (ends within 30 days)",
  "within-7-days": " (ends within 7 days)",
  expired: " (ended)",
};
