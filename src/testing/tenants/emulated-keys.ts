import { systemClock } from "../../core/base/clock.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import type { TenantKeyOpener } from "../../core/contracts/tenant-keys.ts";
import type { Fault as AwsFault, AwsKmsEmulator } from "../aws-kms-emulator/index.ts";
import type { AzureEmulator, Fault as AzureFault } from "../azure-emulator/index.ts";
import type { Fault as GcpFault, GcpKmsEmulator } from "../gcp-kms-emulator/index.ts";
import type { VaultEmulator, Fault as VaultFault } from "../vault-emulator/index.ts";
import { checkedMode, FAKE_KEY_MODES, type FakeKeyMode } from "./fake-key-modes.ts";
import type { HostedKey, TenantKeyHost } from "./key-host.ts";

// Keys of fake tenants in the emulators. A mode is a fault on every request for that one key, so that the answers are those of the service.
// The types of the emulators alone are imported: a test loads those that it starts.

export interface VaultKeyHostOptions {
  readonly emulator: VaultEmulator;
  /** `vaultTenantKeys` with the emulator as its only cluster. */
  readonly opener: TenantKeyOpener;
  /** The mount that the opener finds every tenant in, namespaces included. Default `transit`. */
  readonly mount?: string;
}

/**
 * Keeps the keys of fake tenants in a `VaultEmulator`, each under the name of its tenant. The mode `context-ignored` is that of the whole
 * emulator: `VaultEmulator.start({ knowsAssociatedData: false })`.
 *
 * @throws `invalid-argument` for an unknown option
 * @example
 * ```ts
 * import { vaultTenantKeys } from "envelock/providers/vault";
 * import { FakeTenants, vaultKeyHost } from "envelock/testing/tenants";
 * import { VaultEmulator } from "envelock/testing/vault-emulator";
 *
 * const emulator = await VaultEmulator.start();
 * const { address, token, fetch } = emulator.connection;
 * const opener = vaultTenantKeys({ clusters: { main: { address, fetch, placeOf: () => ({ token: async () => ({ token }) }) } } });
 * const fake = await FakeTenants.start({ tenants: { acme: "healthy", globex: "slow" }, host: vaultKeyHost({ emulator, opener }) });
 * await fake.close();
 * await emulator.close();
 * ```
 */
export function vaultKeyHost(options: VaultKeyHostOptions): TenantKeyHost {
  refuseUnknown(options, VAULT_OPTIONS, "vaultKeyHost");
  const { emulator, opener, mount = "transit" } = options;
  return hostOf<VaultFault>({
    emulator,
    opener,
    faults: {
      slow: "slow:800",
      throttled: "quota",
      denied: "permission-denied",
      disabled: "soft-deleted",
      deleted: "key-not-found",
      unreachable: "reset",
      hanging: "hang",
    },
    pathOf: (name) => new RegExp(`/${mount.split("/").at(-1)}/[a-z]+/${name}(?:$|/)`),
    make(name) {
      emulator.createKey(name, "aes256-gcm96", {}, mount);
      return { key: { kind: opener.kind, key: name } };
    },
  });
}

export interface GcpKeyHostOptions {
  readonly emulator: GcpKmsEmulator;
  /** `gcpTenantKeys` with the connection of the emulator. */
  readonly opener: TenantKeyOpener;
  /** The project of all fake tenants, with their keys and the service account that the vendor acts as. Default `fake-tenants`. */
  readonly project?: string;
}

/**
 * Keeps the keys of fake tenants in a `GcpKmsEmulator`, in the location `europe-west3`, each under the name of its tenant.
 *
 * @throws `invalid-argument` for an unknown option
 * @example
 * ```ts
 * import { gcpTenantKeys } from "envelock/providers/gcp-kms";
 * import { GcpKmsEmulator } from "envelock/testing/gcp-kms-emulator";
 * import { FakeTenants, gcpKeyHost } from "envelock/testing/tenants";
 *
 * const emulator = await GcpKmsEmulator.start();
 * const opener = gcpTenantKeys({ ...emulator.connection, vendorProjects: ["vendor-production"] });
 * const fake = await FakeTenants.start({ tenants: { acme: "denied" }, host: gcpKeyHost({ emulator, opener }) });
 * await fake.close();
 * await emulator.close();
 * ```
 */
export function gcpKeyHost(options: GcpKeyHostOptions): TenantKeyHost {
  refuseUnknown(options, GCP_OPTIONS, "gcpKeyHost");
  const { emulator, opener, project = "fake-tenants" } = options;
  const serviceAccount = `envelock@${project}.iam.gserviceaccount.com`;
  emulator.addServiceAccount({ email: serviceAccount });
  const ring = `projects/${project}/locations/europe-west3/keyRings/tenants`;
  return hostOf<GcpFault>({
    emulator,
    opener,
    faults: {
      slow: "slow:800",
      throttled: "quota",
      denied: "permission-denied",
      disabled: "disabled",
      deleted: "destroyed",
      unreachable: "reset",
      hanging: "hang",
    },
    pathOf: (name) => new RegExp(`/keyRings/tenants/cryptoKeys/${name}(?:$|[:/])`),
    make: (name) => ({ key: { kind: opener.kind, key: emulator.createKey(`${ring}/cryptoKeys/${name}`) }, identity: { serviceAccount } }),
  });
}

export interface AzureKeyHostOptions {
  readonly emulator: AzureEmulator;
  /** `azureTenantKeys` with the connection of the emulator. */
  readonly opener: TenantKeyOpener;
}

/**
 * Keeps the keys of fake tenants in an `AzureEmulator`, each under the name of its tenant. The mode `expiring` gives the newest version an
 * end in 30 days.
 *
 * @throws `invalid-argument` for an unknown option
 * @example
 * ```ts
 * import { azureTenantKeys } from "envelock/providers/azure";
 * import { AzureEmulator } from "envelock/testing/azure-emulator";
 * import { azureKeyHost, FakeTenants } from "envelock/testing/tenants";
 *
 * const emulator = await AzureEmulator.start({ isPurgeProtected: true }); // `verify` asks for that
 * const { credential, ...connection } = emulator.connection;
 * const vendorDirectories = ["99999999-8888-7777-6666-555555555555"];
 * const opener = azureTenantKeys({ ...connection, credential: () => credential, vendorDirectories });
 * const fake = await FakeTenants.start({ tenants: { acme: "disabled" }, host: azureKeyHost({ emulator, opener }) });
 * await fake.close();
 * await emulator.close();
 * ```
 */
export function azureKeyHost(options: AzureKeyHostOptions): TenantKeyHost {
  refuseUnknown(options, AZURE_OPTIONS, "azureKeyHost");
  const { emulator, opener } = options;
  return hostOf<AzureFault>({
    emulator,
    opener,
    faults: {
      slow: "slow:800",
      throttled: "throttled",
      denied: "rbac",
      disabled: "disabled",
      deleted: "deleted",
      unreachable: "reset",
      hanging: "hang",
    },
    pathOf: (name) => new RegExp(`/keys/${name}(?:$|/)`),
    async make(name) {
      await emulator.createKey(name, { type: "RSA-HSM", bits: 2048 });
      return { key: { kind: opener.kind, key: emulator.keyUrl(name) }, identity: { directoryId: emulator.tenantId } };
    },
    expire(name, isExpiring) {
      const exp = isExpiring ? Math.floor(inThirtyDaysMs() / 1000) : undefined;
      emulator.change(name, emulator.newestVersion(name), { exp });
    },
  });
}

export interface AwsKeyHostOptions {
  readonly emulator: AwsKmsEmulator;
  /** `awsTenantKeys` with the connection of the emulator, and its `url` as `stsEndpoint`. */
  readonly opener: TenantKeyOpener;
  /** The account of all fake tenants, with their keys and a role for each. Default `444455556666`. */
  readonly account?: string;
}

/**
 * Keeps the keys of fake tenants in an `AwsKmsEmulator`, each in the region `eu-central-1` and behind a role that asks for the tenant's
 * external id: call `trust` for a tenant that the test itself invites. The mode `expiring` gives the key imported material with an end in 30
 * days.
 *
 * @throws `invalid-argument` for an unknown option
 * @example
 * ```ts
 * import { awsTenantKeys } from "envelock/providers/aws-kms";
 * import { AwsKmsEmulator } from "envelock/testing/aws-kms-emulator";
 * import { awsKeyHost, FakeTenants } from "envelock/testing/tenants";
 *
 * const emulator = await AwsKmsEmulator.start();
 * const opener = awsTenantKeys({ ...emulator.connection, stsEndpoint: emulator.url, vendorAccounts: ["111122223333"] });
 * const fake = await FakeTenants.start({ tenants: { acme: "denied" }, host: awsKeyHost({ emulator, opener }) });
 * await fake.close();
 * await emulator.close();
 * ```
 */
export function awsKeyHost(options: AwsKeyHostOptions): TenantKeyHost {
  refuseUnknown(options, AWS_OPTIONS, "awsKeyHost");
  const { emulator, opener, account = "444455556666" } = options;
  if (typeof account !== "string" || !/^\d{12}$/.test(account)) throw invalidArgument("account is the number of an account, of 12 digits");
  const roleOf = (name: string): string => `arn:aws:iam::${account}:role/envelock-${name}`;
  return hostOf<AwsFault>({
    emulator,
    opener,
    faults: {
      slow: "slow:800",
      throttled: "ThrottlingException",
      denied: "AccessDeniedException",
      disabled: "DisabledException",
      deleted: "NotFoundException",
      unreachable: "reset",
      hanging: "hang",
    },
    pathOf: (_name, { key }) => new RegExp(` ${key.key}$`),
    make: (name) => ({
      key: { kind: opener.kind, key: emulator.createKey({ account, region: "eu-central-1" }) },
      identity: { roleArn: roleOf(name) },
    }),
    expire: (_name, isExpiring, { key }) => emulator.setExpiry(key.key, isExpiring ? inThirtyDaysMs() : undefined),
    trust: (name, externalId) => emulator.addRole(roleOf(name), { externalId }),
  });
}

interface EmulatedHost<Fault> {
  readonly emulator: {
    readonly requests: readonly { readonly path: string; readonly matched?: string }[];
    failWhile(fault: Fault, on: RegExp): () => void;
  };
  readonly opener: TenantKeyOpener;
  /** The fault of each mode. */
  readonly faults: Readonly<Partial<Record<FakeKeyMode, Fault>>>;
  /** Matches the requests for one key. */
  pathOf(name: string, hosted: HostedKey): RegExp;
  make(name: string): HostedKey | Promise<HostedKey>;
  expire?(name: string, isExpiring: boolean, hosted: HostedKey): void;
  trust?(name: string, externalId: string): void;
}

function hostOf<Fault>({ emulator, opener, faults, pathOf, make, expire, trust }: EmulatedHost<Fault>): TenantKeyHost {
  if (typeof emulator?.failWhile !== "function") throw invalidArgument("emulator must be an emulator that was started");
  if (typeof opener?.open !== "function" || typeof opener.accept !== "function") throw invalidArgument("opener must be a TenantKeyOpener");
  const hosted = new Map<string, { readonly key: HostedKey; end: () => void }>();
  const keyOf = (tenant: string) => {
    const found = hosted.get(tenant);
    if (found !== undefined) return found;
    throw invalidArgument(`no key was made for a tenant ${shownValue(tenant)}`, "`describeKey` makes it.");
  };
  const works = (mode: FakeKeyMode): boolean => mode === "healthy" || (mode === "expiring" && expire !== undefined);
  const modes = FAKE_KEY_MODES.filter((mode) => works(mode) || faults[mode] !== undefined);
  return {
    opener,
    modes,
    async describeKey(tenant) {
      const known = hosted.get(tenant);
      if (known !== undefined) return known.key;
      const key = await make(keyNameOf(tenant));
      hosted.set(tenant, { key, end: () => undefined });
      return key;
    },
    setMode(tenant, mode) {
      const checked = checkedMode(mode, modes);
      const found = keyOf(tenant);
      found.end();
      const fault = faults[checked];
      found.end = fault === undefined ? () => undefined : emulator.failWhile(fault, pathOf(keyNameOf(tenant), found.key));
      expire?.(keyNameOf(tenant), checked === "expiring", found.key);
    },
    callsOf(tenant) {
      const found = keyOf(tenant);
      const on = pathOf(keyNameOf(tenant), found.key);
      return emulator.requests.filter(({ path, matched = path }) => on.test(matched)).length;
    },
    ...(trust !== undefined && {
      trust(tenant, externalId) {
        keyOf(tenant);
        trust(keyNameOf(tenant), externalId);
      },
    }),
  };
}

function inThirtyDaysMs(): number {
  return systemClock.unixMs() + 30 * 86_400_000;
}

function keyNameOf(tenant: string): string {
  if (typeof tenant === "string" && /^[a-z0-9-]{1,60}$/.test(tenant)) return tenant;
  throw invalidArgument("a key of an emulator is named after its tenant: 1 to 60 characters of a-z, 0-9 and -");
}

const VAULT_OPTIONS: OptionNames<VaultKeyHostOptions> = { emulator: true, opener: true, mount: true };
const GCP_OPTIONS: OptionNames<GcpKeyHostOptions> = { emulator: true, opener: true, project: true };
const AZURE_OPTIONS: OptionNames<AzureKeyHostOptions> = { emulator: true, opener: true };
const AWS_OPTIONS: OptionNames<AwsKeyHostOptions> = { emulator: true, opener: true, account: true };
