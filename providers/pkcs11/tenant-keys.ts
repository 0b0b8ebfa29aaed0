import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { Finding } from "../../src/core/contracts/finding.ts";
import type { TenantKeyIdentity, TenantKeyOpener, TenantKeyRef } from "../../src/core/contracts/tenant-keys.ts";
import { TenantSettings } from "../../src/core/contracts/tenant-settings.ts";
import { keySelector, type Pkcs11Pin, type Pkcs11TokenOptions, type Pkcs11TokenSelector, TOKEN_OPTIONS, tokenLocation } from "./options.ts";
import { type Pkcs11KeyOptions, pkcs11Key } from "./pkcs11-key.ts";
import type { Pkcs11KeyDescription } from "./token/key-description.ts";
import { pkcs11Token } from "./token/pkcs11-token.ts";
import { WRAPPINGS } from "./wrapping/wrappings.ts";

/** The token of a tenant. */
export interface Pkcs11TenantPlace {
  /** A token of this tenant alone: every key on it is open to one login. */
  readonly token: Pkcs11TokenSelector;
  /** The PIN of the vendor's user on that token. */
  readonly pin?: Pkcs11Pin;
}

/** A library behind which tenants have tokens. */
export interface Pkcs11TenantModule extends Omit<Pkcs11TokenOptions, "uri" | "token" | "pin"> {
  /** Says which token a tenant has, by the vendor's own records. */
  readonly placeOf: (identity: TenantKeyIdentity) => Pkcs11TenantPlace;
}

export interface Pkcs11TenantKeysOptions {
  /** The libraries by the name that a tenant's description gives. Paths come from here alone. */
  readonly modules: Readonly<Record<string, Pkcs11TenantModule>>;
}

/**
 * Opens keys of tenants on tokens behind PKCS#11: HSMs of the tenants, or partitions of one of the vendor's.
 *
 * A key is described by its label; all keys of that label are its versions. Its settings are `module`, needed where there are several, and
 * `mechanism`. The identity has no settings: token and PIN follow from the tenant, by `placeOf`.
 *
 * @throws `invalid-argument`
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { pkcs11TenantKeys } from "envelock/providers/pkcs11";
 *
 * export const open = pkcs11TenantKeys({
 *   modules: {
 *     hsm: {
 *       module: "/usr/lib/softhsm/libsofthsm2.so",
 *       placeOf: ({ tenant }) => ({ token: { label: tenant }, pin: async () => await readFile(`/run/secrets/pin-${tenant}`, "utf8") }),
 *     },
 *   },
 * });
 * ```
 */
export function pkcs11TenantKeys(options: Pkcs11TenantKeysOptions): TenantKeyOpener {
  refuseUnknown(options, TENANT_KEYS_OPTIONS, "pkcs11TenantKeys");
  const modules = new Map(Object.entries(options.modules ?? {}));
  if (modules.size === 0) throw invalidArgument("pkcs11TenantKeys needs a module");
  for (const [name, module] of modules) checkModule(name, module);

  const accepted = (ref: TenantKeyRef, identity: TenantKeyIdentity): Accepted => {
    const settings = new TenantSettings("the key", ref.settings, ["module", "mechanism"]);
    const wanted = settings.optional("mechanism");
    const mechanism = WRAPPINGS.find(({ name }) => name === wanted)?.name;
    if (wanted !== undefined && mechanism === undefined)
      throw invalidArgument(`mechanism of the key must be one of ${WRAPPINGS.map(({ name }) => name).join(", ")}`);
    new TenantSettings("the identity", identity.settings, []);
    const label = ref.key;
    const key = keySelector("the key", { label });
    const [moduleName, { placeOf, ...shared }] = settings.placeIn("module", modules);
    const { token: given, pin } = placeOf(identity);
    const location: Pkcs11TokenOptions = { ...shared, token: given, ...(pin !== undefined && { pin }) };
    const { token } = tokenLocation(location);
    return { location, token, label, moduleName, provider: { ...location, key, ...(mechanism !== undefined && { mechanism }) } };
  };

  return {
    kind: "pkcs11",
    accept(ref, identity) {
      const { token, label, moduleName } = accepted(ref, identity);
      const payer = `${moduleName}/${[token.label, token.serial].map((part) => encodeURIComponent(part ?? "")).join("/")}`;
      return { name: `${payer}/${encodeURIComponent(label)}`, payer };
    },
    open: (ref, identity) => pkcs11Key(accepted(ref, identity).provider),
    diagnose: (ref, identity, { signal }) => waitFor(diagnosed(accepted(ref, identity)), { signal }),
  };
}

interface Accepted {
  readonly location: Pkcs11TokenOptions;
  readonly token: Pkcs11TokenSelector;
  readonly label: string;
  readonly moduleName: string;
  readonly provider: Pkcs11KeyOptions;
}

/** Looks at the keys of the label on the token, the one that wraps first. Makes none, and changes nothing. */
async function diagnosed({ location, label, provider }: Accepted): Promise<readonly Finding[]> {
  const key = pkcs11Key(provider);
  const token = location.thread === true ? undefined : pkcs11Token(location); // a library serves one thread
  try {
    const current = await key.current();
    if (token === undefined) return [{ check: "key", status: "ok", message: `${current} wraps` }];
    const versions = (await token.keys()).filter((version) => version.label === label);
    return [keyFinding(current, versions), protectionFinding(versions)];
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    const { code, message, hint = "Compare module, token, PIN and label with what the token's own tool shows." } = error;
    return [{ check: "key", status: "failed", message: `${code}: ${message}`, advice: hint, code }];
  } finally {
    await key.close();
    await token?.close();
  }
}

function keyFinding(current: string, versions: readonly Pkcs11KeyDescription[]): Finding {
  const endDate = versions.find(({ keyId }) => keyId === current)?.endDate;
  const [, year = "", month = "", day = ""] = /^(\d{4})(\d\d)(\d\d)$/.exec(endDate ?? "") ?? [];
  const notAfterMs = year === "" ? null : Date.UTC(Number(year), Number(month) - 1, Number(day) + 1);
  return { check: "key", status: "ok", message: `${current} wraps; versions of this label: ${versions.length}`, notAfterMs };
}

function protectionFinding(keys: readonly Pkcs11KeyDescription[]): Finding {
  if (keys.every(({ isExtractable }) => !isExtractable))
    return { check: "protection", status: "ok", message: "no version can leave the token" };
  const advice = "The tenant makes a key with CKA_EXTRACTABLE false, and moves to it.";
  return { check: "protection", status: "warning", message: "a version may leave the token wrapped under another key", advice };
}

function checkModule(name: string, module: Pkcs11TenantModule): void {
  const { uri: _uri, token: _token, pin: _pin, ...shared } = TOKEN_OPTIONS;
  refuseUnknown(module, { ...shared, placeOf: true } satisfies OptionNames<Pkcs11TenantModule>, `the module ${name}`);
  if (typeof module.placeOf !== "function") throw invalidArgument(`placeOf of the module ${name} must be a function`);
  const { placeOf: _, ...location } = module;
  tokenLocation({ ...location, token: { label: "any" } }); // checks the path
}

const TENANT_KEYS_OPTIONS: OptionNames<Pkcs11TenantKeysOptions> = { modules: true };
