import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import type { LocalKeyPairOptions } from "./hpke-kek.ts";
import { localHybridKeyPairs } from "./hybrid-key-pair.ts";
import { localKeyPairs } from "./key-pair.ts";
import { checkKeyset, type Keyset, type KeysetKey, type KeysetKeyPair, type KeysetKeyType } from "./keyset.ts";
import { localKeyset } from "./local-key.ts";

/**
 * The providers of a keyset: one for each type of key in it, with all versions of that type. The one that holds the primary comes
 * first: it belongs in `wrapWith`, the others in `unwrapWith`. Should one of the others wrap after all, it does so with the last of
 * its keys.
 *
 * @throws `invalid-argument`
 */
export function keysetProviders(keyset: Keyset): readonly [KeyProvider, ...KeyProvider[]] {
  const { type: primaryType } = checkKeyset(keyset);
  const otherTypes = new Set(keyset.keys.map(({ type }) => type));
  otherTypes.delete(primaryType);
  return [providerOf(primaryType, keyset), ...[...otherTypes].map((type) => providerOf(type, keyset))];
}

function providerOf(type: KeysetKeyType, keyset: Keyset): KeyProvider {
  const primary = primaryOf(
    keyset.keys.filter((key) => key.type === type),
    keyset.primary,
  );
  if (type === "aes-256") {
    const keys = keyset.keys.flatMap((key) => (key.type === type ? [{ keyId: key.keyId, key: key.secret }] : []));
    return localKeyset({ keys, primary });
  }
  const keyPairs = keyset.keys.flatMap((key) => (key.type === type ? [keyPairOptions(key)] : []));
  return type === "x25519" ? localKeyPairs({ keyPairs, primary }) : localHybridKeyPairs({ keyPairs, primary });
}

function primaryOf(keys: readonly KeysetKey[], primary: string): string {
  return keys.some(({ keyId }) => keyId === primary) ? primary : (keys.at(-1)?.keyId ?? primary);
}

function keyPairOptions({ keyId, publicKey, secret }: KeysetKeyPair): LocalKeyPairOptions {
  return { keyId, publicKey, ...(secret && { privateKey: secret }) };
}
