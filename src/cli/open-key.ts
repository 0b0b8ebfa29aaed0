import { existsSync } from "node:fs";
import { awsKmsKey } from "../../providers/aws-kms/index.ts";
import { type AzureConnectionOptions, type AzureKeyOptions, azureKey, azureSecretKey } from "../../providers/azure/index.ts";
import { gcpKmsKey } from "../../providers/gcp-kms/index.ts";
import { hybridKeys } from "../../providers/local/hybrid.ts";
import { type Keyset, keysetProviders, parseKeyset } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { pkcs11Key } from "../../providers/pkcs11/index.ts";
import { vaultTransitKey } from "../../providers/vault/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { closest } from "../core/base/options.ts";
import type { KeyProvider } from "../core/contracts/key-provider.ts";
import { Keyring } from "../core/keyring/keyring.ts";
import { awsKeyOptions } from "./aws-connection.ts";
import { azureConnection } from "./azure-connection.ts";
import { hintForMissing, usageError } from "./failure.ts";
import { gcpKeyOptions } from "./gcp-connection.ts";
import { readWhole, STANDARD_STREAM, withInput } from "./input.ts";
import type { AzureOptions, KeyOptions, RecipientOptions } from "./options.ts";
import { pkcs11Options } from "./pkcs11-uri.ts";
import { vaultKeyOptions } from "./vault-connection.ts";

/**
 * Opens what a `--key` or `--recipient` argument names. Arguments alone come here, never anything that was read from an envelope.
 *
 * @returns the provider of the primary key, then the others; the caller closes them
 * @throws `key-not-found`, `access-denied`, `invalid-argument`, `provider-failure`
 */
async function openKey(argument: string, azure: AzureOpenOptions): Promise<readonly [KeyProvider, ...KeyProvider[]]> {
  const [, scheme, rest = ""] = SCHEME.exec(argument) ?? [];
  switch (scheme?.toLowerCase()) {
    case undefined:
      return keysetProviders(argument === STANDARD_STREAM ? await standardInputKeyset() : await fileKeyset(argument), HYBRID);
    case "env":
      return keysetProviders(keysetIn(variable(rest), `the variable ${rest}`), HYBRID);
    case "azure":
      return [azureProvider(rest, azure)];
    case "vault":
      return [vaultTransitKey(await vaultKeyOptions(rest))];
    case "aws-kms":
      return [awsKmsKey(await awsKeyOptions(rest))];
    case "gcp-kms":
      return [gcpKmsKey(await gcpKeyOptions(rest))];
    case "pkcs11":
      return [pkcs11Key(pkcs11Options(argument))];
    default:
      throw unknownScheme(argument, scheme ?? "");
  }
}

type AzureOpenOptions = AzureConnectionOptions & Pick<AzureKeyOptions, "minVersionAgeMs">;

/** A keyring for as long as `use` takes: the first `--key` and every `--recipient` wrap, all of them unwrap. */
export async function withKeyring<T>(
  options: KeyOptions & RecipientOptions,
  inputs: readonly string[],
  use: (keyring: Keyring) => Promise<T>,
): Promise<T> {
  const {
    key: [first, ...olderKeys],
    recipient = [],
    keyContext,
  } = options;
  return await withProviders({ wrapWith: [first, ...recipient], unwrapWith: olderKeys, inputs }, options, (providers) =>
    use(new Keyring({ ...providers, ...(keyContext && { context: keyContext }) })),
  );
}

/** The arguments that name keys. */
export interface NamedKeys {
  readonly wrapWith: readonly string[];
  readonly unwrapWith?: readonly string[];
  /** The inputs that the verb reads beside the keys. */
  readonly inputs: readonly string[];
}

export interface OpenKeys {
  readonly wrapWith: readonly KeyProvider[];
  /** The other keys of the keysets that wrap, and all keys that only unwrap. */
  readonly unwrapWith: readonly KeyProvider[];
}

/** The providers of keys for as long as `use` takes. */
export async function withProviders<T>(
  { wrapWith: wrapping, unwrapWith: unwrapping = [], inputs }: NamedKeys,
  options: AzureOptions,
  use: (keys: OpenKeys) => Promise<T>,
): Promise<T> {
  const readers = [...wrapping, ...unwrapping, ...inputs].filter((argument) => argument === STANDARD_STREAM);
  if (readers.length > 1) throw usageError("standard input can be read once", "name a file in place of one of the -");
  const ages = options.countsYoungVersions === true ? { minVersionAgeMs: 0 } : {};
  const azure = { ...azureConnection(options), ...ages }; // one for all keys: each credential signs in by itself
  const wrapWith: KeyProvider[] = [];
  const unwrapWith: KeyProvider[] = [];
  try {
    for (const argument of wrapping) {
      const [primary, ...others] = await openKey(argument, azure);
      wrapWith.push(primary);
      unwrapWith.push(...others);
    }
    for (const argument of unwrapping) unwrapWith.push(...(await openKey(argument, azure)));
    return await use({ wrapWith, unwrapWith });
  } finally {
    for (const provider of [...wrapWith, ...unwrapWith]) await provider.close?.();
  }
}

async function fileKeyset(path: string): Promise<Keyset> {
  // a key that was given in place of a file is not repeated in a message
  if (BARE_KEY.test(path) && !existsSync(path)) {
    throw usageError(
      "--key is the name of a keyset, and this looks like a key itself",
      "arguments can be seen by others: put the key into a keyset file (docs/providers/local.md), and count it as disclosed",
    );
  }
  if (path === "") throw usageError("--key names no keyset", "name the file that `envelock keygen` made");
  try {
    return await readKeysetFile(path);
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    const { code, message, hint, cause } = error;
    if (code === "key-not-found") throw new EnvelockError(code, `there is no keyset ${path}`, { hint: hintForMissing(path), cause });
    throw new EnvelockError(code, message.includes(path) ? message : `${path}: ${message}`, { cause, ...(hint !== undefined && { hint }) });
  }
}

async function standardInputKeyset(): Promise<Keyset> {
  const bytes = await withInput(STANDARD_STREAM, (input) => readWhole(input, MAX_KEYSET_BYTES, "1 MiB: no keyset is"));
  return keysetIn(bytes, "standard input");
}

function variable(name: string): string {
  if (name === "") throw usageError("--key env: names no variable", "give its name: env:NAME");
  const value = process.env[name];
  if (value === undefined || value === "") {
    throw usageError(
      `the variable ${name} is ${value === "" ? "empty" : "not set"}`,
      `export ${name} with the text of a keyset, as \`envelock keygen\` makes it`,
    );
  }
  return value;
}

function keysetIn(text: string | Uint8Array, name: string): Keyset {
  try {
    return parseKeyset(text);
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    const { code, message, hint } = error;
    throw new EnvelockError(code, `${name}: ${message}`, hint === undefined ? {} : { hint });
  }
}

function azureProvider(url: string, connection: AzureOpenOptions): KeyProvider {
  return url.includes("/secrets/") ? azureSecretKey({ ...connection, secretUrl: url }) : azureKey({ ...connection, keyUrl: url });
}

function unknownScheme(argument: string, scheme: string): EnvelockError {
  if (/^https:\/\/[^/@]+\/(keys|secrets)\//i.test(argument))
    return usageError("a key in Azure is named by azure: and its URL", `did you mean azure:${argument}?`);
  if (scheme.toLowerCase() === "arn")
    return usageError("a key in AWS KMS is named by aws-kms: and its ARN", `did you mean aws-kms:${argument}?`);
  const [gcpName] = /projects\/[^/]+\/locations\/.+$/.exec(argument) ?? [];
  if (gcpName !== undefined) return usageError("a key in Cloud KMS is named by gcp-kms: and its name", `did you mean gcp-kms:${gcpName}?`);
  const meant = scheme.toLowerCase() === "file" ? undefined : closest(scheme, ["azure", "vault", "aws-kms", "gcp-kms", "pkcs11", "env"]);
  return usageError(
    `no kind of key is called "${scheme}:"`,
    meant === undefined
      ? "a keyset is named by its path alone, ./name if there is a colon in it; other kinds are env:NAME, azure:URL, vault:URL, aws-kms:ARN, gcp-kms:NAME and pkcs11:…"
      : `did you mean ${meant}:?`,
  );
}

// Two letters at least: C:\keys.json is a path.
const SCHEME = /^([a-z][a-z0-9+.-]+):(.*)$/is;
/** 32 bytes in hexadecimal digits or base64. */
const BARE_KEY = /^(?:[0-9a-f]{64}|[\w+/-]{43}=?)$/i;
const HYBRID = { hybrid: hybridKeys };
const MAX_KEYSET_BYTES = 2 ** 20;
