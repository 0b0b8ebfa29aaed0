import { localKey } from "../../../providers/local/index.ts";
import type { Context } from "../../core/base/context.ts";
import type { DataKeyStore } from "../../core/contracts/data-key-store.ts";
import { Keyring } from "../../core/keyring/keyring.ts";
import { DataKeys } from "../../fields/data-keys.ts";
import { type FleetJob, type PlanOptions, planRewrap, planRewrapBlobs, type RewrapWorkOptions } from "../../jobs/index.ts";
import { withBlobs } from "../blobs/blob-place.ts";
import { withKeyring } from "../open-key.ts";
import { withStore } from "../open-store.ts";
import type { KeyOptions } from "../options.ts";
import { withTenantKeys } from "../tenants/open-tenants.ts";
import { type NamedTable, namedTable, termsOf, type WorkerOptions } from "./worker-options.ts";

/** Plans a job over the table of the arguments, or takes up the plan that is there. */
export type Plan = (given: PlanOptions) => Promise<FleetJob>;

/**
 * Opens the table that the arguments name, and its keys, for as long as `use` takes: data keys under one keyring, data keys of tenants with
 * keys of their own, or the blobs of a container.
 */
export async function withJobTable<T>(options: WorkerOptions, use: (plan: Plan) => Promise<T>): Promise<T> {
  const named = namedTable(options);
  const { table } = options;
  if (named.of === "blobs") return await withBlobTable(named.blobs, { ...options, key: named.key }, use);
  return await withStore({ store: named.store, ...(table !== undefined && { table }) }, (store) =>
    named.of === "tenants"
      ? withTenants(named, store, options, use)
      : withKeyring({ ...options, key: named.key }, [], (keyring) => withDataKeys(store, keyring, options, {}, use)),
  );
}

async function withBlobTable<T>(blobs: string, options: WorkerOptions & KeyOptions, use: (plan: Plan) => Promise<T>): Promise<T> {
  return await withBlobs(blobs, options, (store, { prefix }, container) =>
    use((plan) => planRewrapBlobs({ ...plan, ...termsOf(options), blobs: store, container, ...(prefix !== undefined && { prefix }) })),
  );
}

async function withTenants<T>(
  { tenants: tenantStore, key }: Extract<NamedTable, { of: "tenants" }>,
  store: DataKeyStore,
  options: WorkerOptions,
  use: (plan: Plan) => Promise<T>,
): Promise<T> {
  const { table: _table, tenantsTable, ...given } = options;
  const named = { ...given, store: tenantStore, ...(tenantsTable !== undefined && { table: tenantsTable }) };
  return await withTenantKeys(named, async (tenants) => {
    if (key === undefined)
      return await withDataKeys(store, unusedKeyring(options), options, { keyringOf: (scope) => tenants.keyringOf(scope) }, use);
    return await withKeyring({ ...options, key }, [], (keyring) => {
      const keyringOf = async (scope: Context) => (Object.hasOwn(scope, "tenant") ? await tenants.keyringOf(scope) : keyring);
      return withDataKeys(store, keyring, options, { keyringOf }, use);
    });
  });
}

async function withDataKeys<T>(
  store: DataKeyStore,
  keyring: Keyring,
  options: WorkerOptions,
  apart: Pick<RewrapWorkOptions, "keyringOf">,
  use: (plan: Plan) => Promise<T>,
): Promise<T> {
  const dataKeys = new DataKeys({ keyring, store });
  return await use((plan) => planRewrap({ ...plan, ...termsOf(options), ...apart, dataKeys })).finally(() => dataKeys.close());
}

/** A keyring that wraps nothing: each scope has its tenant's. */
function unusedKeyring({ keyContext }: WorkerOptions): Keyring {
  const unused = localKey({ keyId: "unused", key: crypto.getRandomValues(new Uint8Array(32)) });
  return new Keyring({ wrapWith: [unused], ...(keyContext && { context: keyContext }) });
}
