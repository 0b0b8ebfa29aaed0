import { concatBytes, copyOf, toHex, wipe } from "../../../src/core/base/bytes.ts";
import { WRAP_ALGORITHMS } from "../../../src/core/contracts/algorithms.ts";
import type { Recipient } from "../../../src/core/contracts/key-provider.ts";
import { toyVersion, translated } from "../toy/toy-key.ts";
import type { Mutant } from "./mutant.ts";

export const WRAPPING_MUTANTS: readonly Mutant[] = [
  {
    fault: "wraps before it knows that the key unwraps",
    rejectedBy: ["what wraps also unwraps, or wraps nothing"],
    change: (sound, service, key) => ({
      async wrap(dek, { wrapAad, signal }) {
        const keyId = await sound.current({ ...(signal && { signal }) });
        const version = toyVersion(key, keyId) ?? 0;
        const wrapped = await translated(service.encrypt(key, version, wrapAad(keyId), dek, signal));
        return { provider: sound.name, keyId, alg: WRAP_ALGORITHMS.xaes256Gcm, wrapped };
      },
    }),
  },
  {
    fault: "drops leading zeros, as a detour through a big integer does",
    rejectedBy: ["unwrap gives back what wrap took"],
    change: (sound) => ({
      async unwrap(recipient, options) {
        const dek = await sound.unwrap(recipient, options);
        const start = dek.findIndex((byte) => byte !== 0);
        return dek.slice(start === -1 ? 32 : start);
      },
    }),
  },
  {
    fault: "keeps the data key in a field while it waits",
    rejectedBy: ["64 at once do not cross"],
    change(sound) {
      let pending: Uint8Array;
      return {
        async wrap(dek, options) {
          pending = dek;
          await sound.current(options);
          return await sound.wrap(pending, options);
        },
      };
    },
  },
  {
    fault: "writes another provider name into recipients",
    rejectedBy: ["a recipient is fit to be stored"],
    change: (sound) => ({ wrap: async (dek, options) => ({ ...(await sound.wrap(dek, options)), provider: "other" }) }),
  },
  {
    fault: "uses an algorithm id that is not in the format",
    rejectedBy: ["a recipient is fit to be stored"],
    change: (sound) => ({
      wrap: async (dek, options) => ({ ...(await sound.wrap(dek, options)), alg: 99 }),
      unwrap: async (recipient, options) => await sound.unwrap({ ...recipient, alg: recipient.alg === 99 ? 1 : 99 }, options),
    }),
  },
  {
    fault: "claims an algorithm that binds no context",
    rejectedBy: ["a recipient is fit to be stored"],
    change: (sound) => ({
      wrap: async (dek, options) => ({ ...(await sound.wrap(dek, options)), alg: 10 }),
      unwrap: async (recipient, options) => await sound.unwrap({ ...recipient, alg: recipient.alg === 10 ? 1 : 10 }, options),
    }),
  },
  {
    fault: "remembers what it wrapped and gives it again",
    rejectedBy: ["a randomised wrapping never repeats"],
    change(sound) {
      const kept = new Map<string, Promise<Recipient>>();
      return {
        async wrap(dek, options) {
          const name = toHex(dek);
          const recipient = kept.get(name) ?? sound.wrap(dek, options);
          kept.set(name, recipient);
          recipient.catch(() => kept.delete(name));
          return await recipient;
        },
      };
    },
  },
  {
    fault: "calls the key current and not its version",
    rejectedBy: ["current names the version that wraps", "after a rotation new wraps name the new version"],
    change: (sound) => ({ current: async (options) => (await sound.current(options)).replace(/\/\d+$/, "") }),
  },
  {
    fault: "returns a view of a pool",
    rejectedBy: ["a result is 32 bytes in an ArrayBuffer of its own"],
    change: (sound) => ({
      unwrap: async (recipient, options) => concatBytes(await sound.unwrap(recipient, options), new Uint8Array(32)).subarray(0, 32),
    }),
  },
  {
    fault: "keeps the result and hands out the same array again",
    rejectedBy: ["wiping a result harms nothing"],
    change(sound) {
      const results = new Map<string, Uint8Array>();
      return {
        async unwrap(recipient, options) {
          const dek = await sound.unwrap(recipient, options);
          const kept = results.get(toHex(recipient.wrapped)) ?? dek;
          results.set(toHex(recipient.wrapped), kept);
          return kept;
        },
      };
    },
  },
  {
    fault: "wipes the data key that it was handed",
    rejectedBy: ["wrap leaves the data key as it was"],
    change: (sound) => ({
      wrap: async (dek, options) => await sound.wrap(dek, options).finally(() => wipe(dek)),
    }),
  },
  {
    fault: "remembers data keys by reference",
    rejectedBy: ["wrap keeps no reference to the data key"],
    change(sound) {
      const kept = new Map<string, Uint8Array>();
      return {
        async wrap(dek, options) {
          const recipient = await sound.wrap(dek, options);
          kept.set(toHex(recipient.wrapped), dek);
          return recipient;
        },
        async unwrap(recipient, options) {
          const dek = await sound.unwrap(recipient, options);
          return copyOf(kept.get(toHex(recipient.wrapped)) ?? dek);
        },
      };
    },
  },
  {
    fault: "decrypts in place",
    rejectedBy: ["unwrap leaves the recipient as it was"],
    change: (sound) => ({
      async unwrap(recipient, options) {
        const dek = await sound.unwrap(recipient, options);
        recipient.wrapped.set(dek, 24);
        return dek;
      },
    }),
  },
];
