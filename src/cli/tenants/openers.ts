import { readFile } from "node:fs/promises";
import { awsTenantKeys } from "../../../providers/aws-kms/index.ts";
import { azureTenantKeys } from "../../../providers/azure/index.ts";
import { gcpTenantKeys } from "../../../providers/gcp-kms/index.ts";
import { type Pkcs11TenantModule, pkcs11TenantKeys } from "../../../providers/pkcs11/index.ts";
import { type VaultTenantCluster, vaultTenantKeys } from "../../../providers/vault/index.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { jsonIn } from "../../core/base/json.ts";
import { refuseUnknown } from "../../core/base/options.ts";
import { withoutMark } from "../../core/base/text-mark.ts";
import type { TenantKeyOpener } from "../../core/contracts/tenant-keys.ts";
import { awsConnection, stsEndpoint } from "../aws-connection.ts";
import { credentialIn } from "../azure-connection.ts";
import { hintForMissing } from "../failure.ts";
import { gcpConnection } from "../gcp-connection.ts";
import type { AzureOptions } from "../options.ts";
import { pinOf } from "../pin.ts";
import { vaultAuthority, vaultTokenSource } from "../vault-connection.ts";

/**
 * Makes openers of the file that `--openers` names: what tenants may bring, as docs/cli.md has it. Credentials come from the environment, as
 * for `--key`.
 *
 * @throws `key-not-found` for a missing file; `invalid-argument` for a file that says something unknown
 */
export async function openersIn(path: string, azure: AzureOptions): Promise<readonly TenantKeyOpener[]> {
  const content = objectIn(jsonIn(await textOf(path)), "the file of openers");
  refuseUnknown(content, { azure: true, aws: true, gcp: true, vault: true, pkcs11: true }, `the file of openers ${path}`);
  const openers: TenantKeyOpener[] = [];
  const { azure: vaults, aws, gcp, vault, pkcs11 } = content;
  if (vaults !== undefined) openers.push(azureOpener(objectIn(vaults, "azure"), azure));
  if (aws !== undefined) openers.push(await awsOpener(objectIn(aws, "aws")));
  if (gcp !== undefined) openers.push(await gcpOpener(objectIn(gcp, "gcp")));
  if (vault !== undefined) openers.push(await vaultOpener(objectIn(vault, "vault")));
  if (pkcs11 !== undefined) openers.push(pkcs11Opener(objectIn(pkcs11, "pkcs11")));
  if (openers.length === 0)
    throw invalidArgument("the file of openers has no opener", 'such as {"aws":{"vendorAccounts":["111122223333"]}}');
  return openers;
}

function azureOpener(settings: Members, { credential = "default", allowHost, tokenResource }: AzureOptions): TenantKeyOpener {
  refuseUnknown(settings, { clientId: true, vendorDirectories: true, vaults: true }, "azure of the openers");
  const clientId = text(settings, "clientId");
  const vaults = texts(settings, "vaults");
  return azureTenantKeys({
    credential: (directoryId) => credentialIn(credential, directoryId, clientId),
    vendorDirectories: texts(settings, "vendorDirectories") ?? [],
    ...(vaults !== undefined && { vaults }),
    ...(allowHost !== undefined && { allowedHosts: allowHost }),
    ...(tokenResource !== undefined && { tokenResource }),
  });
}

async function awsOpener(settings: Members): Promise<TenantKeyOpener> {
  refuseUnknown(settings, { vendorAccounts: true, regions: true, sessionName: true }, "aws of the openers");
  const vendorAccounts = texts(settings, "vendorAccounts");
  if (vendorAccounts === undefined || vendorAccounts.length === 0)
    throw invalidArgument("aws of the openers needs vendorAccounts", "the numbers of your own accounts, which no tenant may name");
  const regions = texts(settings, "regions");
  const sessionName = optionalText(settings, "sessionName");
  const endpoint = stsEndpoint();
  return awsTenantKeys({
    ...(await awsConnection()),
    vendorAccounts,
    ...(regions !== undefined && { regions }),
    ...(sessionName !== undefined && { sessionName }),
    ...(endpoint !== undefined && { stsEndpoint: endpoint }),
  });
}

async function gcpOpener(settings: Members): Promise<TenantKeyOpener> {
  refuseUnknown(settings, { vendorProjects: true, locations: true }, "gcp of the openers");
  const vendorProjects = texts(settings, "vendorProjects");
  if (vendorProjects === undefined || vendorProjects.length === 0)
    throw invalidArgument("gcp of the openers needs vendorProjects", "the ids of your own projects, which no tenant may name");
  const locations = texts(settings, "locations");
  return gcpTenantKeys({ ...(await gcpConnection()), vendorProjects, ...(locations !== undefined && { locations }) });
}

/** `{tenant}` in namespace and mount stands for the tenant's id. */
async function vaultOpener(settings: Members): Promise<TenantKeyOpener> {
  refuseUnknown(settings, { address: true, namespace: true, mount: true }, "vault of the openers");
  const namespace = optionalText(settings, "namespace");
  const mount = optionalText(settings, "mount") ?? "transit";
  if (!`${namespace ?? ""}${mount}`.includes("{tenant}"))
    throw invalidArgument("vault of the openers must have {tenant} in namespace or mount", "or any tenant could name the keys of another");
  const cluster: VaultTenantCluster = {
    address: text(settings, "address"),
    ...(await vaultAuthority()),
    placeOf: ({ tenant }) => ({
      ...(namespace !== undefined && { namespace: placed(namespace, tenant) }),
      mount: placed(mount, tenant),
      token: vaultTokenSource,
    }),
  };
  return vaultTenantKeys({ clusters: { main: cluster } });
}

/** `{tenant}` in token and pinSource stands for the tenant's id. */
function pkcs11Opener(settings: Members): TenantKeyOpener {
  refuseUnknown(settings, { module: true, token: true, pinSource: true }, "pkcs11 of the openers");
  const [module, label] = [text(settings, "module"), text(settings, "token")];
  const pinSource = optionalText(settings, "pinSource");
  if (!label.includes("{tenant}"))
    throw invalidArgument("pkcs11 of the openers must have {tenant} in token", "or any tenant could name the keys of another");
  const placeOf: Pkcs11TenantModule["placeOf"] = ({ tenant }) => {
    const token = placed(label, tenant);
    return { token: { label: token }, pin: pinOf(token, pinSource && placed(pinSource, tenant)) };
  };
  return pkcs11TenantKeys({ modules: { main: { module, placeOf } } });
}

/** Puts the id of a tenant into a path or a label. */
function placed(pattern: string, tenant: string): string {
  if (!/^[\w-][\w.-]*$/.test(tenant))
    throw invalidArgument(`the id ${tenant} cannot stand in a path: it needs letters, digits, dots and hyphens`);
  return pattern.replaceAll("{tenant}", () => tenant);
}

type Members = Readonly<Record<string, unknown>>;

function objectIn(value: unknown, what: string): Members {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.fromEntries(Object.entries(value));
  throw invalidArgument(`${what} must be a JSON object`, "docs/cli.md shows one");
}

function text(members: Members, name: string): string {
  const value = optionalText(members, name);
  if (value === undefined) throw invalidArgument(`the file of openers lacks ${name}`, "docs/cli.md shows one");
  return value;
}

function optionalText(members: Members, name: string): string | undefined {
  const value = members[name];
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw invalidArgument(`${name} in the file of openers must be text`);
}

function texts(members: Members, name: string): readonly string[] | undefined {
  const value = members[name];
  if (value === undefined) return undefined;
  const items: readonly unknown[] = Array.isArray(value) ? value : [undefined];
  return items.map((item) => {
    if (typeof item === "string" && item !== "") return item;
    throw invalidArgument(`${name} in the file of openers must be a list of texts`);
  });
}

async function textOf(path: string): Promise<string> {
  try {
    return withoutMark(await readFile(path, "utf8"));
  } catch (cause) {
    throw new EnvelockError("key-not-found", `the file of openers ${path} cannot be read`, { cause, hint: hintForMissing(path) });
  }
}
