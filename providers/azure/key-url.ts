import { invalidArgument } from "../../src/core/base/errors.ts";

/** A vault or Managed HSM, as described by its URL. */
export interface VaultLocation {
  /** `https://host` or `https://host:port`, in lower case. */
  readonly vaultUrl: string;
  readonly isManagedHsm: boolean;
  /** The audience of its tokens, such as `https://vault.azure.net`. */
  readonly tokenResource: string;
  /** Whether the SDK's own check of the challenge expects the same audience. */
  readonly isKnownCloud: boolean;
}

/** A key, or a secret. */
export interface KeyLocation extends VaultLocation {
  readonly collection: Collection;
  /** In lower case: the service is case-insensitive, and a key id has one spelling here. */
  readonly name: string;
  readonly version: string | undefined;
}

export type Collection = "keys" | "secrets";

export interface HostRules {
  readonly allowedHosts?: readonly string[];
  readonly tokenResource?: string;
}

/**
 * Parses the URL of a key or a secret, with or without a version. Normalises the case alone, and refuses a user, a query, an escape or an
 * extra slash.
 *
 * @throws `invalid-argument`
 */
export function parseKeyUrl(url: string, collection: Collection, rules: HostRules): KeyLocation {
  const [, authority, name, version] = matchOf(URLS[collection], url);
  if (authority === undefined || name === undefined) {
    const path = `https://<vault>/${collection}/<name>`;
    throw invalidArgument(
      `the URL of one of a vault's ${collection} is ${path} or ${path}/<version>, and nothing more`,
      wrongPartOf(url, collection, path),
    );
  }
  return { ...locate(authority.toLowerCase(), rules), collection, name: name.toLowerCase(), version: version?.toLowerCase() };
}

/** Parses the URL of a vault or Managed HSM. @throws `invalid-argument` */
export function parseVaultUrl(vaultUrl: string, rules: HostRules): VaultLocation {
  const [, authority] = matchOf(VAULT_URL, vaultUrl);
  if (authority === undefined) throw invalidArgument("the URL of a vault or Managed HSM is https://<host>, and nothing more");
  return locate(authority.toLowerCase(), rules);
}

/** Returns the one spelling of a version's id. */
export function keyIdOf({ vaultUrl, collection, name }: KeyLocation, version: string): string {
  return `${vaultUrl}/${collection}/${name}/${version}`;
}

/** Returns the one spelling of a URL of a key version in any vault, or undefined if it is none. */
export function keyVersionUrl(text: string): string | undefined {
  const version = URLS.keys.exec(text)?.[3];
  return version === undefined ? undefined : text.toLowerCase();
}

/** Returns the version that `keyId` names, if it is one of this key in its one spelling. */
export function versionIn(keyId: string, location: KeyLocation): string | undefined {
  const version = keyId.slice(-VERSION_LENGTH);
  return isVersion(version) && keyId === keyIdOf(location, version) ? version : undefined;
}

/**
 * Finds the version in a key id, if it may unwrap. If the URL names no version all may; else that one and `unwrapVersions`.
 *
 * @throws `invalid-argument`
 */
export function versionMatcher(location: KeyLocation, unwrapVersions: readonly string[] = []): (keyId: string) => string | undefined {
  if (location.version === undefined && unwrapVersions.length > 0) {
    throw invalidArgument("unwrapVersions goes with a URL that names a version; without one every version unwraps");
  }
  const versions = new Set([location.version, ...unwrapVersions.map((version) => version.toLowerCase())]);
  for (const version of unwrapVersions) {
    if (!isVersion(version.toLowerCase())) throw invalidArgument("a version has 32 hex digits");
  }
  return (keyId) => {
    const version = versionIn(keyId, location);
    return location.version === undefined || versions.has(version) ? version : undefined;
  };
}

export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/** Names the faulty part of a URL, without repeating a user or a password in it. */
function wrongPartOf(url: unknown, collection: Collection, path: string): string {
  if (typeof url !== "string") return `give text: ${path}`;
  if (/^http:/i.test(url)) return "it begins with http:, not https:";
  if (!/^https:\/\//i.test(url)) return `it does not begin with https://: give ${path}`;
  const [authority = "", folder, name, version, ...more] = url.slice("https://".length).split("/");
  if (authority.includes("@")) return "there is a user in it: leave out what stands before the @";
  if (/[?#%]/.test(url)) return "there is a query, a fragment or an escape in it: leave that out";
  if (folder === undefined || folder === "") return `the path is missing: add /${collection}/<name>`;
  if (folder !== collection) return `its path begins with /${folder.slice(0, 40)}, not with /${collection}`;
  if (name === undefined || !/^[0-9a-z-]{1,127}$/i.test(name)) return "its name must be letters, digits and hyphens, at most 127";
  if (version === "") return "there is a slash at its end: leave that out";
  if (more.length > 0) return "there is more behind its version: leave that out";
  if (version !== undefined && !VERSION.test(version.toLowerCase())) return "its version must be 32 hex digits, or be left out";
  return "its host must be a name, with at most a port";
}

function matchOf(pattern: RegExp, text: unknown): readonly (string | undefined)[] {
  return (typeof text === "string" ? pattern.exec(text) : null) ?? [];
}

function locate(authority: string, { allowedHosts = [], tokenResource }: HostRules): VaultLocation {
  const vaultUrl = `https://${authority}`;
  if (tokenResource !== undefined && !TOKEN_RESOURCE.test(tokenResource)) throw invalidArgument("tokenResource is https://<host>");
  const suffix = CLOUD_SUFFIXES.find((cloud) => isNamedUnder(authority, cloud));
  if (suffix !== undefined) {
    const resource = tokenResource ?? resourceOf(suffix);
    return { vaultUrl, isManagedHsm: isHsmHost(authority), tokenResource: resource, isKnownCloud: resource === resourceOf(suffix) };
  }
  const allowed = allowedHosts.find((host) => isAllowedBy(host.toLowerCase(), authority));
  if (allowed === undefined) {
    throw invalidArgument(`${authority} is no vault of a known cloud`, "name the host in allowedHosts if it is yours");
  }
  const resource = tokenResource ?? (allowed.startsWith(".") ? resourceOf(allowed.toLowerCase()) : undefined);
  if (resource === undefined) throw invalidArgument("an allowed host needs tokenResource: what its tokens are made out to");
  const isManagedHsm = isHsmHost(authority) || resource.startsWith("https://managedhsm.");
  return { vaultUrl, isManagedHsm, tokenResource: resource, isKnownCloud: false };
}

/**
 * Whether an entry allows a host. An entry with a dot in front allows the hosts one label below it; any other allows itself, with its port.
 */
function isAllowedBy(entry: string, authority: string): boolean {
  return entry.startsWith(".") ? isNamedUnder(authority, entry) : entry === authority;
}

function isNamedUnder(authority: string, suffix: string): boolean {
  return authority.endsWith(suffix) && VAULT_NAME.test(authority.slice(0, -suffix.length));
}

function isHsmHost(authority: string): boolean {
  return authority.includes(".managedhsm.");
}

function resourceOf(suffix: string): string {
  return `https://${suffix.slice(1)}`;
}

const CLOUD_SUFFIXES = [
  ".vault.azure.net",
  ".managedhsm.azure.net",
  ".vault.azure.cn",
  ".managedhsm.azure.cn",
  ".vault.usgovcloudapi.net",
  ".managedhsm.usgovcloudapi.net",
] as const;
// ASCII throughout, without the `u` flag, under which a Kelvin sign would pass for a k.
const AUTHORITY = "([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?)";
const urlIn = (collection: Collection): RegExp =>
  new RegExp(`^https://${AUTHORITY}/${collection}/([0-9a-z-]{1,127})(?:/([0-9a-f]{32}))?$`, "i");
const URLS: Readonly<Record<Collection, RegExp>> = { keys: urlIn("keys"), secrets: urlIn("secrets") };
const VAULT_URL: RegExp = new RegExp(`^https://${AUTHORITY}/?$`, "i");
const TOKEN_RESOURCE = /^https:\/\/[a-z0-9.-]+$/;
const VAULT_NAME = /^[a-z](?:-?[a-z0-9]){2,23}$/;
const VERSION = /^[0-9a-f]{32}$/;
const VERSION_LENGTH = 32;
