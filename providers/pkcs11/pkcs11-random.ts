import { EnvelockError } from "../../src/core/base/errors.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { keysInThread } from "./keys-in-thread.ts";
import { checkedCount, type Pkcs11TokenOptions, TOKEN_OPTIONS, tokenLocation } from "./options.ts";

/**
 * The generator of a token, C_GenerateRandom, as a keyring's `randomness`: the keyring mixes its bytes with those of this machine.
 *
 * @throws `invalid-argument`; its methods what a `RandomSource` throws
 * @example
 * ```ts
 * import { type KeyProvider, Keyring } from "envelock";
 * import { pkcs11Random } from "envelock/providers/pkcs11";
 *
 * const token = { module: "/usr/lib/softhsm/libsofthsm2.so", token: { label: "hsm" }, pin: () => "1234" };
 * export const mixed = (key: KeyProvider) => new Keyring({ wrapWith: [key], randomness: pkcs11Random(token) });
 * ```
 * @see docs/providers/pkcs11.md
 */
export function pkcs11Random(options: Pkcs11TokenOptions): Required<RandomSource> {
  refuseUnknown(options, TOKEN_OPTIONS, "pkcs11Random");
  const { uri: _, ...location } = tokenLocation(options);
  const keys = keysInThread({ location, key: {}, mechanism: undefined, alsoUnwraps: [], isRsaWrapLocal: false }, options);
  let isClosed = false;
  return {
    name: "pkcs11-random",
    async randomBytes(count, { signal } = {}) {
      const checked = checkedCount("count", count, MAX_BYTES);
      if (isClosed) throw new EnvelockError("closed", "this PKCS#11 generator has been closed");
      signal?.throwIfAborted();
      return await waitFor(keys.random(checked), { signal });
    },
    async close() {
      isClosed = true;
      await keys.close();
    },
  };
}

const MAX_BYTES = 4096;
