import { type AzureConnectionOptions, azureKey, azureSecretKey } from "../../providers/azure/index.ts";
import { hybridKeys } from "../../providers/local/hybrid.ts";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { pkcs11Key } from "../../providers/pkcs11/index.ts";
import type { KeyProvider } from "../core/contracts/key-provider.ts";
import { Keyring } from "../core/keyring/keyring.ts";
import { azureConnection } from "./azure-connection.ts";
import { usageError } from "./failure.ts";
import type { KeyOptions, RecipientOptions } from "./options.ts";
import { pkcs11Options } from "./pkcs11-uri.ts";

/**
 * Opens what a `--key` or `--recipient` argument names. Arguments alone come here, never anything that was read from an envelope.
 *
 * @returns the provider of the primary key, then the others; the caller closes them
 * @throws `key-not-found`, `access-denied`, `invalid-argument`, `provider-failure`
 */
async function openKey(argument: string, azure: AzureConnectionOptions): Promise<readonly [KeyProvider, ...KeyProvider[]]> {
  const scheme = SCHEME.exec(argument)?.[1]?.toLowerCase();
  if (scheme === undefined) return keysetProviders(await readKeysetFile(argument), { hybrid: hybridKeys });
  if (scheme === "azure") return [azureProvider(argument.slice("azure:".length), azure)];
  if (scheme === "pkcs11") return [pkcs11Key(pkcs11Options(argument))];
  throw usageError(`no kind of key is called "${scheme}:"`, "a keyset file with a colon in its name is given as ./name");
}

function azureProvider(url: string, connection: AzureConnectionOptions): KeyProvider {
  return url.includes("/secrets/") ? azureSecretKey({ ...connection, secretUrl: url }) : azureKey({ ...connection, keyUrl: url });
}

/** A keyring for as long as `use` takes: the first `--key` and every `--recipient` wrap, all of them unwrap. */
export async function withKeyring<T>(options: KeyOptions & RecipientOptions, use: (keyring: Keyring) => Promise<T>): Promise<T> {
  const {
    key: [first, ...olderKeys],
    recipient = [],
    keyContext,
  } = options;
  const azure = azureConnection(options); // one for all keys: each credential signs in by itself
  const wrapWith: KeyProvider[] = [];
  const unwrapWith: KeyProvider[] = [];
  try {
    for (const argument of [first, ...recipient]) {
      const [primary, ...others] = await openKey(argument, azure);
      wrapWith.push(primary);
      unwrapWith.push(...others);
    }
    for (const argument of olderKeys) unwrapWith.push(...(await openKey(argument, azure)));
    return await use(new Keyring({ wrapWith, unwrapWith, ...(keyContext && { context: keyContext }) }));
  } finally {
    for (const provider of [...wrapWith, ...unwrapWith]) await provider.close?.();
  }
}

// Two letters at least: C:\keys.json is a path.
const SCHEME = /^([a-z][a-z0-9+.-]+):/i;
