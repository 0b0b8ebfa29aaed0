import { EnvelockError } from "../../src/core/base/errors.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { orAborted } from "./abort.ts";
import { keysInThread } from "./keys-in-thread.ts";
import { checkedCount, type Pkcs11TokenOptions, tokenLocation } from "./options.ts";

/**
 * The generator of a token, C_GenerateRandom, as a keyring's `randomness`: the keyring mixes what it gives with this machine's own.
 *
 * @throws `invalid-argument`
 * @see docs/providers/pkcs11.md
 */
export function pkcs11Random(options: Pkcs11TokenOptions): Required<RandomSource> {
  const { uri: _, ...location } = tokenLocation(options);
  const keys = keysInThread({ location, key: {}, mechanism: undefined, isRsaWrapLocal: false }, options);
  let isClosed = false;
  return {
    name: "pkcs11-random",
    async randomBytes(count, { signal } = {}) {
      if (isClosed) throw new EnvelockError("closed", "this PKCS#11 generator has been closed");
      signal?.throwIfAborted();
      return await orAborted(keys.random(checkedCount("count", count, MAX_BYTES)), signal);
    },
    async close() {
      isClosed = true;
      await keys.close();
    },
  };
}

const MAX_BYTES = 4096;
