import { userInfo } from "node:os";
import { type Command, Option } from "commander";
import type { DataKeyStore } from "../../core/contracts/data-key-store.ts";
import { Tenants } from "../../tenants/index.ts";
import { usageError } from "../failure.ts";
import { withProviders } from "../open-key.ts";
import { addStoreOptions, type StoreOptions, withStore, withTenantStore } from "../open-store.ts";
import { type AzureOptions, addAzureOptions, addDebugOption, collect, KINDS_OF_KEY } from "../options.ts";
import { openersIn } from "./openers.ts";

export interface TenantsOptions extends StoreOptions {
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** The options of verbs that call keys. */
export interface TenantKeysOptions extends TenantsOptions, AzureOptions {
  readonly platform?: readonly string[];
  readonly openers?: string;
  readonly dataKeys?: string;
  readonly dataKeysTable?: string;
}

/** The options of verbs that change a tenant. */
export interface ReasonOptions {
  readonly reason?: string;
}

export function addTenantsOptions(command: Command): Command {
  addStoreOptions(command, "of the tenants in a database (default: envelock_tenants)");
  command.option("--json", "as JSON");
  return addDebugOption(command);
}

export function addTenantKeysOptions(command: Command): Command {
  addTenantsOptions(command);
  addAzureOptions(command);
  return command
    .addOption(new Option("--platform <key>", `the vendor's own key; ${KINDS_OF_KEY} (repeatable)`).argParser(collect))
    .option("--openers <file>", "what tenants may bring, as JSON (docs/cli.md)")
    .option("--data-keys <store>", "where the data keys of the tenants lie (default: the database of --store)")
    .option("--data-keys-table <name>", "of the data keys in a database (default: envelock_data_keys)");
}

export function addReasonOption(command: Command): Command {
  return command.option("--reason <text>", "for the audit log, at most 500 characters");
}

/** The user that runs the command, and the reason, for the audit log. */
export function changeOf({ reason }: ReasonOptions): { readonly actor: string; readonly reason?: string } {
  return { actor: `cli:${userInfo().username}`.slice(0, 200), ...(reason !== undefined && { reason }) };
}

/** `Tenants` over the records alone, for as long as `use` takes. It calls no key. */
export async function withTenants<T>(options: TenantsOptions, use: (tenants: Tenants) => Promise<T>): Promise<T> {
  return await withTenantStore(options, async (store) => {
    const tenants = new Tenants({ store });
    return await use(tenants).finally(() => tenants.close());
  });
}

/**
 * `Tenants` with the keys and stores that the arguments name, for as long as `use` takes.
 *
 * @param inputs the inputs that the verb reads: `-` if it asks a question on standard input
 */
export async function withTenantKeys<T>(
  options: TenantKeysOptions,
  use: (tenants: Tenants) => Promise<T>,
  inputs: readonly string[] = [],
): Promise<T> {
  const { platform = [], openers } = options;
  const open = openers === undefined ? [] : await openersIn(openers, options);
  return await withTenantStore(options, (store) =>
    withDataKeyStore(options, (dataKeyStore) =>
      withProviders({ wrapWith: platform, inputs }, options, async ({ wrapWith }) => {
        const tenants = new Tenants({ store, open, platform: wrapWith, ...(dataKeyStore !== undefined && { dataKeyStore }) });
        return await use(tenants).finally(() => tenants.close());
      }),
    ),
  );
}

async function withDataKeyStore<T>(options: TenantKeysOptions, use: (store: DataKeyStore | undefined) => Promise<T>): Promise<T> {
  const { store, dataKeys, dataKeysTable: table } = options;
  const isFile = store.toLowerCase().startsWith("file:");
  if (dataKeys === undefined && isFile) return await use(undefined);
  return await withStore({ store: dataKeys ?? store, create: true, ...(table !== undefined && { table }) }, use);
}

/** @throws a usage error where a verb needs data keys and the arguments name none */
export function requireDataKeys({ store, dataKeys }: TenantKeysOptions): void {
  if (dataKeys === undefined && store.toLowerCase().startsWith("file:"))
    throw usageError("name the store of the data keys with --data-keys", "a file of tenants holds no data keys");
}
