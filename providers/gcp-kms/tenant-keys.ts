import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { RecentMap } from "../../src/core/base/recent-map.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { TenantKeyIdentity, TenantKeyOpener, TenantKeyRef } from "../../src/core/contracts/tenant-keys.ts";
import { notAllowed, TenantSettings, textList } from "../../src/core/contracts/tenant-settings.ts";
import { diagnoseGcpKey } from "./doctor/diagnose.ts";
import { type GcpKmsKeyOptions, gcpKmsKey } from "./gcp-kms-key.ts";
import { checkedKeyName } from "./key-name.ts";
import { checkedEmail, type GcpLogin, type GcpTokenSource } from "./login.ts";
import { impersonated } from "./logins.ts";
import { CONNECTION_OPTIONS, type GcpConnectionOptions } from "./options.ts";

export interface GcpTenantKeysOptions extends Omit<GcpConnectionOptions, "token"> {
  /** The vendor's own identity. It acts as the tenants' service accounts and does nothing else. */
  readonly token: GcpTokenSource;
  /** The ids of the vendor's own projects. No tenant may name a key or a service account in one. */
  readonly vendorProjects: readonly string[];
  /** The locations that tenants may name, such as `europe-west3`. Default: all. */
  readonly locations?: readonly string[];
}

/**
 * Opens keys of tenants in Google Cloud KMS, as a service account of the tenant.
 *
 * A key is described by its whole name, with the id of its project and without a version. Its setting `keyType` is `symmetric` (default) or
 * `rsa`, which needs the setting `version` too. The identity has the setting `serviceAccount`: an account of the tenant on which the
 * vendor's identity has the role Service Account Token Creator.
 *
 * @throws `invalid-argument`
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { gcpTenantKeys, metadataServer } from "envelock/providers/gcp-kms";
 *
 * const opener = gcpTenantKeys({ token: metadataServer(), vendorProjects: ["vendor-production"], locations: ["europe-west3"] });
 * ```
 */
export function gcpTenantKeys(options: GcpTenantKeysOptions): TenantKeyOpener {
  refuseUnknown(
    options,
    { ...CONNECTION_OPTIONS, vendorProjects: true, locations: true } satisfies OptionNames<GcpTenantKeysOptions>,
    "gcpTenantKeys",
  );
  const { token, vendorProjects, locations, ...connection } = options;
  impersonated({ source: token, serviceAccount: "check@vendor.iam.gserviceaccount.com" }); // refuses what is no source of tokens
  const own = new Set(textList(vendorProjects, "vendorProjects").map((id) => checkedProject("vendorProjects", id)));
  const allowed = locations === undefined ? undefined : new Set(textList(locations, "locations"));
  const logins = new RecentMap<string, GcpLogin>({ maxEntries: MAX_LOGINS });

  const accepted = (ref: TenantKeyRef, identity: TenantKeyIdentity): Accepted => {
    const key = checkedKeyName(ref.key);
    const [, projectText = "", , location = ""] = key.split("/");
    const project = checkedProject("the project of the key", projectText);
    if (own.has(project)) throw notAllowed("a tenant's key must not lie in a project of the vendor");
    if (allowed !== undefined && !allowed.has(location)) throw notAllowed(`${location} is none of the locations that tenants may name`);
    const account = new TenantSettings("the identity", identity.settings, ["serviceAccount"]).required("serviceAccount");
    const serviceAccount = checkedEmail(account, "serviceAccount").toLowerCase();
    const [, accountProject = ""] = USER_MANAGED.exec(serviceAccount) ?? [];
    if (accountProject === "")
      throw invalidArgument(
        "serviceAccount must be <name>@<project>.iam.gserviceaccount.com, whose project shows",
        "make an account for this",
      );
    if (own.has(accountProject)) throw notAllowed("a tenant's service account must not lie in a project of the vendor");
    return { key, payer: `${project}/${location}`, location, serviceAccount, ...kindOf(ref) };
  };

  const loginOf = (serviceAccount: string): GcpLogin => {
    const known = logins.get(serviceAccount);
    if (known !== undefined) return known;
    const made = impersonated({ source: token, serviceAccount });
    logins.set(serviceAccount, made);
    return made;
  };

  const keyOptions = (ref: TenantKeyRef, identity: TenantKeyIdentity): GcpKmsKeyOptions => {
    const { key, keyType, version, serviceAccount } = accepted(ref, identity);
    return { ...connection, key, keyType, ...(version !== undefined && { version }), token: loginOf(serviceAccount) };
  };

  return {
    kind: "gcp-kms",
    accept(ref, identity) {
      const { key, payer, location } = accepted(ref, identity);
      return { name: key, payer, region: location };
    },
    open: (ref, identity) => gcpKmsKey(keyOptions(ref, identity)),
    diagnose: (ref, identity, { signal }) => waitFor(diagnoseGcpKey(keyOptions(ref, identity)), { signal }),
  };
}

interface Accepted extends Kind {
  readonly key: string;
  readonly payer: string;
  readonly location: string;
  readonly serviceAccount: string;
}

interface Kind {
  readonly keyType: "symmetric" | "rsa";
  readonly version: number | undefined;
}

function kindOf(ref: TenantKeyRef): Kind {
  const settings = new TenantSettings("the key", ref.settings, ["keyType", "version"]);
  const version = settings.optional("version");
  if (version !== undefined && !/^[1-9]\d{0,8}$/.test(version)) throw invalidArgument("version of the key must be the number of a version");
  return { keyType: settings.oneOf("keyType", ["symmetric", "rsa"]), version: version === undefined ? undefined : Number(version) };
}

/** A project has an id and a number. Ids alone are accepted, so that two tenants cannot name one key in two ways. */
function checkedProject(what: string, id: unknown): string {
  if (typeof id === "string" && /^(?:[a-z][a-z0-9.-]{0,60}:)?[a-z][a-z0-9-]{4,29}$/.test(id)) return id;
  throw invalidArgument(`${what} must be the id of a project, not its number`);
}

/** Ids with a domain are written the other way round: `name@project.example.com.iam.gserviceaccount.com`. */
const USER_MANAGED = /^[a-z0-9-]{1,63}@([a-z][a-z0-9-]{4,29})(?:\.[a-z0-9.-]{1,100})?\.iam\.gserviceaccount\.com$/;
const MAX_LOGINS = 2000;
