import { type Command, Option } from "commander";
import type { RewrapWorkOptions } from "../../jobs/index.ts";
import { usageError } from "../failure.ts";
import { addContextOption, addKeyOptions, addRecipientOption, collect, KINDS_OF_KEY, wholeNumber } from "../options.ts";
import type { BlobContextOptions, StoreOptions as PlaceOptions } from "../places/store-kind.ts";
import { addNameContextOption, addStoreOptions as addPlaceOptions, STORE_SHAPES } from "../places/store-place.ts";
import type { TenantKeysOptions } from "../tenants/open-tenants.ts";
import { addJobsOptions, type JobsOptions } from "./open-jobs.ts";

/** What the verbs have that need the table of a job, and keys. */
export interface WorkerOptions
  extends JobsOptions,
    PlaceOptions,
    BlobContextOptions,
    Pick<TenantKeysOptions, "platform" | "openers" | "allowHost" | "tokenResource"> {
  readonly store?: string;
  readonly table?: string;
  readonly tenants?: string;
  readonly tenantsTable?: string;
  readonly blobs?: string;
  readonly prefix?: string;
  readonly key?: Keys;
  readonly keyContext?: Readonly<Record<string, string>>;
  readonly recipient?: readonly string[];
  readonly callsPerSecond?: number;
  readonly tenantCallsPerSecond?: number;
  readonly unwrap?: boolean;
}

export function addWorkerOptions(command: Command): Command {
  command
    .option(
      "-s, --store <store>",
      "the data keys to rewrap: postgres://user@host/database, sqlite:<file> or file:<file>; a password goes into PGPASSWORD or ~/.pgpass",
    )
    .option("--table <name>", "of the data keys in a database (default: envelock_data_keys)")
    .option("--tenants <store>", "the tenants whose keys wrap their data keys, named as for --store")
    .option("--tenants-table <name>", "of the tenants in a database (default: envelock_tenants)")
    .addOption(new Option("--platform <key>", `the vendor's own key of the tenants; ${KINDS_OF_KEY} (repeatable)`).argParser(collect))
    .option("--openers <file>", "what tenants may bring, as JSON (docs/cli.md)")
    .option("--blobs <store>", `the blobs to rewrap, in place of --store: ${STORE_SHAPES} or dir:<folder>`)
    .option("--prefix <text>", "only blobs whose names begin so");
  addPlaceOptions(command);
  addNameContextOption(addContextOption(command));
  addKeyOptions(command, "the first wraps, with its primary key; all of them unwrap (repeatable)", false);
  addRecipientOption(command);
  command
    .addOption(
      new Option("--calls-per-second <count>", "calls of the key service that the whole fleet may make (default: no limit)").argParser(
        (text) => callsOf("--calls-per-second", text),
      ),
    )
    .addOption(
      new Option("--tenant-calls-per-second <count>", "calls that it may make for each tenant (default: no limit)").argParser((text) =>
        callsOf("--tenant-calls-per-second", text),
      ),
    )
    .option("--unwrap", "unwrap every data key in the verification; the same for plan and work");
  return addJobsOptions(command);
}

/** The budgets and the verification of a job, as `planRewrap` takes them. */
export function termsOf({
  callsPerSecond,
  tenantCallsPerSecond,
  unwrap = false,
}: WorkerOptions): Pick<RewrapWorkOptions, "budgets" | "verification"> {
  const budgets = [
    ...(callsPerSecond === undefined ? [] : [{ perSecond: callsPerSecond, share: 1 }]),
    ...(tenantCallsPerSecond === undefined
      ? []
      : [{ perSecond: tenantCallsPerSecond, share: 1, of: ({ tenant }: Readonly<Record<string, string>>) => tenant }]),
  ];
  return { verification: unwrap ? "unwrap" : "names", ...(budgets.length > 0 && { budgets }) };
}

/** The table that the arguments of a job name, and its keys. */
export type NamedTable =
  | { readonly of: "blobs"; readonly blobs: string; readonly key: Keys }
  | { readonly of: "data keys"; readonly store: string; readonly key: Keys }
  /** `key` is for the data keys of no tenant. */
  | { readonly of: "tenants"; readonly store: string; readonly tenants: string; readonly key: Keys | undefined };

type Keys = readonly [string, ...string[]];

/** @throws a usage error for options that name no table, two of them, or what goes with another */
export function namedTable(options: WorkerOptions): NamedTable {
  const { store, blobs, tenants, key } = options;
  if (blobs !== undefined && store === undefined) {
    refuseOthers(options, OF_DATA_KEYS, "--store");
    if (key === undefined) throw usageError("the job needs a key", "name it with --key");
    return { of: "blobs", blobs, key };
  }
  if (store === undefined || blobs !== undefined)
    throw usageError("a job is over data keys or over blobs", "name them with --store or with --blobs");
  refuseOthers(options, OF_BLOBS, "--blobs");
  if (tenants !== undefined) return { of: "tenants", store, tenants, key };
  refuseOthers(options, OF_TENANTS, "--tenants");
  if (key === undefined) throw usageError("the job needs a key", "name it with --key, or the tenants with --tenants");
  return { of: "data keys", store, key };
}

function refuseOthers(options: WorkerOptions, flags: Readonly<Record<string, string>>, home: string): void {
  const [, flag] = Object.entries(flags).find(([name]) => Reflect.get(options, name) !== undefined) ?? [];
  if (flag !== undefined) throw usageError(`${flag} goes with ${home}`, `leave it out, or name ${home}`);
}

function callsOf(flag: string, text: string): number {
  return wholeNumber(flag, text, { least: 1, most: 1_000_000, hint: "leave it out for no limit" });
}

const OF_TENANTS = {
  tenantsTable: "--tenants-table",
  platform: "--platform",
  openers: "--openers",
  tenantCallsPerSecond: "--tenant-calls-per-second",
} as const satisfies Partial<Record<keyof WorkerOptions, string>>;
const OF_DATA_KEYS = { table: "--table", tenants: "--tenants", ...OF_TENANTS } as const satisfies Partial<
  Record<keyof WorkerOptions, string>
>;
const OF_BLOBS = { prefix: "--prefix", endpoint: "--endpoint", s3Mode: "--s3-mode", context: "--context" } as const satisfies Partial<
  Record<keyof WorkerOptions, string>
>;
