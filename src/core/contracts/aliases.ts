import { isTextOfAtMost } from "../base/bytes.ts";
import { invalidArgument } from "../base/errors.ts";
import type { KeyProvider, Recipient, WrapOptions } from "./key-provider.ts";

/**
 * Lets a key answer for the key ids that it had in another place, such as a vault that was restored elsewhere, or a token with another
 * label. Old key ids only unwrap: {@link KeyProvider.wrap} names the new place, `needsRewrap` finds what names the old one, and a
 * rewrap moves it.
 *
 * @param aliases from each old key id, exact and with its version, to the key id that holds the same key material now
 * @returns a provider with the contract alone; it closes `provider` when it is closed
 * @throws `invalid-argument` if an old key id is one of the provider's own, or a new one is not
 * @example
 * const moved = withAliases(azureKey({ keyUrl: "https://new.vault.azure.net/keys/orders", credential }), {
 *   "https://old.vault.azure.net/keys/orders/6b2f…": "https://new.vault.azure.net/keys/orders/6b2f…",
 * });
 * const keyring = new Keyring({ wrapWith: [moved] });
 */
export function withAliases(provider: KeyProvider, aliases: Readonly<Record<string, string>>): KeyProvider {
  const newIds = checkedAliases(provider, aliases);
  const { current, close } = provider;
  return {
    name: provider.name,
    owns: (keyId) => newIds.has(keyId) || provider.owns(keyId),
    wrap: (dek, options) => provider.wrap(dek, options),
    unwrap(recipient, options) {
      const newId = newIds.get(recipient.keyId);
      return newId === undefined ? provider.unwrap(recipient, options) : unwrapAt(provider, newId, recipient, options);
    },
    ...(current && { current: (options) => current.call(provider, options) }),
    ...(close && { close: () => close.call(provider) }),
  };
}

/** The wrapped key was bound to the key id of the old place, and still is. */
function unwrapAt(provider: KeyProvider, newId: string, recipient: Recipient, options: WrapOptions): Promise<Uint8Array> {
  const wrapAad = (keyId: string): Uint8Array => options.wrapAad(keyId === newId ? recipient.keyId : keyId);
  return provider.unwrap({ ...recipient, keyId: newId }, { ...options, wrapAad });
}

function checkedAliases(provider: KeyProvider, aliases: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  if (typeof aliases !== "object" || aliases === null || Symbol.iterator in aliases) {
    throw invalidArgument("aliases must be an object that names the new key id of each old one");
  }
  const newIds = new Map<string, string>(Object.entries(aliases));
  for (const [oldId, newId] of newIds) {
    if (!isTextOfAtMost(MAX_KEY_ID_BYTES, oldId)) throw invalidArgument(`a key id has 1 to ${MAX_KEY_ID_BYTES} bytes of well-formed text`);
    if (provider.owns(oldId)) throw invalidArgument(`the alias ${oldId} is a key id that the provider has already`);
    if (typeof newId === "string" && provider.owns(newId)) continue;
    throw invalidArgument(`the alias ${oldId} must stand for a key id of the provider`, "Name the exact version, as `inspect` shows it.");
  }
  return newIds;
}

const MAX_KEY_ID_BYTES = 512; // docs/format.md §3
