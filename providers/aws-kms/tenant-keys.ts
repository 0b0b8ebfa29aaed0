import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { RecentMap } from "../../src/core/base/recent-map.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { TenantKeyIdentity, TenantKeyOpener, TenantKeyRef } from "../../src/core/contracts/tenant-keys.ts";
import { notAllowed, TenantSettings, textList } from "../../src/core/contracts/tenant-settings.ts";
import { checkedRoleArn, type KeyArn, parseKeyArn } from "./arn.ts";
import { type AwsKmsKeyOptions, awsKmsKey } from "./aws-kms-key.ts";
import { type AwsCredentialSource, type AwsLogin, checkedSource } from "./credentials.ts";
import { diagnoseAwsKmsKey } from "./doctor/diagnose.ts";
import { roleLogin } from "./logins.ts";
import { type AwsConnectionOptions, CONNECTION_OPTIONS } from "./options.ts";
import { RoleTurns } from "./role-turns.ts";

export interface AwsTenantKeysOptions extends Omit<AwsConnectionOptions, "credentials"> {
  /** The vendor's own credentials. They assume the tenants' roles and do nothing else. */
  readonly credentials: AwsCredentialSource;
  /** The numbers of the vendor's own accounts. No tenant may name a key or a role in one. */
  readonly vendorAccounts: readonly string[];
  /** The regions that tenants may name, such as `eu-central-1`. Default: all. */
  readonly regions?: readonly string[];
  /** The name of the vendor's sessions in the tenants' audit trails. Default `envelock`. */
  readonly sessionName?: string;
  /** Another origin of the security token service than that of the key's region. */
  readonly stsEndpoint?: string;
  /**
   * The rate at which roles of all tenants are assumed, from one process: the token service counts it against the vendor's account. Default
   * 100.
   */
  readonly rolesPerSecond?: number;
}

/**
 * Opens keys of tenants in AWS KMS, with credentials of a role of the tenant's account that asks for an external id.
 *
 * A key is described by its ARN. Its setting `keyType` is `symmetric` (default) or `rsa`. The identity has the setting `roleArn`: a role in
 * the account of the key, whose trust policy names the vendor and the external id that `invite` returned. Since the caller is a role of the
 * tenant, the tenant's account is throttled, and pays.
 *
 * @throws `invalid-argument`
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { awsTenantKeys, instanceCredentials } from "envelock/providers/aws-kms";
 *
 * const opener = awsTenantKeys({ credentials: instanceCredentials(), vendorAccounts: ["111122223333"], regions: ["eu-central-1"] });
 * ```
 */
export function awsTenantKeys(options: AwsTenantKeysOptions): TenantKeyOpener {
  refuseUnknown(
    options,
    {
      ...CONNECTION_OPTIONS,
      vendorAccounts: true,
      regions: true,
      sessionName: true,
      stsEndpoint: true,
      rolesPerSecond: true,
    } satisfies OptionNames<AwsTenantKeysOptions>,
    "awsTenantKeys",
  );
  const { credentials, vendorAccounts, regions, sessionName, stsEndpoint, rolesPerSecond = 100, ...connection } = options;
  const turns = new RoleTurns(rolesPerSecond);
  const source = checkedSource(credentials);
  const own = new Set(textList(vendorAccounts, "vendorAccounts").map(checkedAccount));
  const allowed = regions === undefined ? undefined : new Set(textList(regions, "regions"));
  const logins = new RecentMap<string, AwsLogin>({ maxEntries: MAX_LOGINS });

  const accepted = (ref: TenantKeyRef, identity: TenantKeyIdentity): Accepted => {
    const key = parseKeyArn("the key", ref.key);
    if (own.has(key.account)) throw notAllowed("a tenant's key must not lie in an account of the vendor");
    if (allowed !== undefined && !allowed.has(key.region)) throw notAllowed(`${key.region} is none of the regions that tenants may name`);
    const roleArn = checkedRoleArn(new TenantSettings("the identity", identity.settings, ["roleArn"]).required("roleArn"));
    const [, partition, , , account = ""] = roleArn.split(":");
    if (own.has(account)) throw notAllowed("a tenant's role must not lie in an account of the vendor");
    if (account !== key.account || partition !== key.partition)
      throw notAllowed("the role lies in another account than the key", "name a role of the account that has the key");
    const keyType = new TenantSettings("the key", ref.settings, ["keyType"]).oneOf("keyType", ["symmetric", "rsa"]);
    return { key, roleArn, keyType };
  };

  /** The login is kept, and its credentials with it: assuming a role for each provider would meet the limits of the token service. */
  const loginOf = (roleArn: string, externalId: string): AwsLogin => {
    const name = JSON.stringify([roleArn, externalId]);
    const known = logins.get(name);
    if (known !== undefined) return known;
    const more = { ...(sessionName !== undefined && { sessionName }), ...(stsEndpoint !== undefined && { endpoint: stsEndpoint }) };
    const made = roleLogin({ roleArn, externalId, source, ...more }, turns);
    logins.set(name, made);
    return made;
  };

  const keyOptions = (ref: TenantKeyRef, identity: TenantKeyIdentity): AwsKmsKeyOptions => {
    const { key, roleArn, keyType } = accepted(ref, identity);
    return { ...connection, keyArn: key.text, keyType, credentials: loginOf(roleArn, identity.externalId) };
  };

  return {
    kind: "aws-kms",
    accept(ref, identity) {
      const { key } = accepted(ref, identity);
      return { name: nameOf(key), payer: `${key.account}/${key.region}`, region: key.region };
    },
    open: (ref, identity) => awsKmsKey(keyOptions(ref, identity)),
    diagnose(ref, identity, { signal }) {
      const keyContext = { tenant: identity.tenant }; // the tenant's policy may allow no other
      return waitFor(diagnoseAwsKmsKey({ ...keyOptions(ref, identity), keyContext }), { signal });
    },
  };
}

/** The replicas of a multi-region key are one key: without a region, so that two tenants cannot claim it in two regions. */
function nameOf({ text, partition, account, id }: KeyArn): string {
  return id.startsWith("mrk-") ? `arn:${partition}:kms::${account}:key/${id}` : text;
}

interface Accepted {
  readonly key: KeyArn;
  readonly roleArn: string;
  readonly keyType: "symmetric" | "rsa";
}

function checkedAccount(account: unknown): string {
  if (typeof account === "string" && /^\d{12}$/.test(account)) return account;
  throw invalidArgument("vendorAccounts has numbers of accounts, of 12 digits each");
}

const MAX_LOGINS = 2000;
