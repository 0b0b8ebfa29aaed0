import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import type { LocalKeyPairOptions } from "./hpke-kek.ts";
import { localKeyPairs } from "./key-pair.ts";
import {
  checkKeyset,
  type HybridKeys,
  type Keyset,
  type KeysetKey,
  type KeysetKeyPair,
  type KeysetKeyType,
  requireHybrid,
} from "./keyset.ts";
import { localKeyset } from "./local-key.ts";

export interface KeysetProvidersOptions {
  /** Needed for keys of type `mlkem768-x25519`: `hybridKeys` of `envelock/providers/local-hybrid`. */
  readonly hybrid?: HybridKeys;
}

/**
 * The providers of a keyset: one for each type of key in it, with all versions of that type. The one that holds the primary comes
 * first: it belongs in `wrapWith`, the others in `unwrapWith`. Should one of the others wrap after all, it does so with the last of
 * its keys.
 *
 * @throws `invalid-argument`, also for a hybrid key without `hybrid`
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { keysetProviders, parseKeyset } from "envelock/providers/local";
 *
 * export function keyringFrom(text: string): Keyring {
 *   const [primary, ...others] = keysetProviders(parseKeyset(text));
 *   return new Keyring({ wrapWith: [primary], unwrapWith: others });
 * }
 * ```
 */
export function keysetProviders(keyset: Keyset, options: KeysetProvidersOptions = {}): readonly [KeyProvider, ...KeyProvider[]] {
  refuseUnknown(options, KEYSET_PROVIDERS_OPTIONS, "keysetProviders");
  const { type: primaryType } = checkKeyset(keyset);
  const otherTypes = new Set(keyset.keys.map(({ type }) => type));
  otherTypes.delete(primaryType);
  return [providerOf(primaryType, keyset, options), ...[...otherTypes].map((type) => providerOf(type, keyset, options))];
}

function providerOf(type: KeysetKeyType, keyset: Keyset, { hybrid }: KeysetProvidersOptions): KeyProvider {
  const primary = primaryOf(
    keyset.keys.filter((key) => key.type === type),
    keyset.primary,
  );
  if (type === "aes-256") {
    const keys = keyset.keys.flatMap((key) => (key.type === type ? [{ keyId: key.keyId, key: key.secret }] : []));
    return localKeyset({ keys, primary });
  }
  const keyPairs = keyset.keys.flatMap((key) => (key.type === type ? [keyPairOptions(key)] : []));
  return type === "x25519" ? localKeyPairs({ keyPairs, primary }) : requireHybrid(hybrid, primary).providerOf({ keyPairs, primary });
}

function primaryOf(keys: readonly KeysetKey[], primary: string): string {
  return keys.some(({ keyId }) => keyId === primary) ? primary : (keys.at(-1)?.keyId ?? primary);
}

function keyPairOptions({ keyId, publicKey, secret }: KeysetKeyPair): LocalKeyPairOptions {
  return { keyId, publicKey, ...(secret && { privateKey: secret }) };
}

const KEYSET_PROVIDERS_OPTIONS: OptionNames<KeysetProvidersOptions> = { hybrid: true };
