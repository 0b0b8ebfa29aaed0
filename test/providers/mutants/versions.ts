import { EnvelockError } from "../../../src/core/base/errors.ts";
import { toyKeyId, toyRejected, toyVersion, translated } from "../toy/toy-key.ts";
import type { Mutant } from "./mutant.ts";

export const VERSION_MUTANTS: readonly Mutant[] = [
  {
    fault: "knows the newest version alone",
    rejectedBy: ["after a rotation old wraps open", "an expired version still unwraps"],
    change: (sound) => ({
      async unwrap(recipient, options) {
        if (sound.owns(recipient.keyId) && (await sound.current(options)) !== recipient.keyId) throw toyRejected();
        return await sound.unwrap(recipient, options);
      },
    }),
  },
  {
    fault: "wraps with the first version for ever",
    rejectedBy: [
      "after a rotation new wraps name the new version",
      "a version opens its own wraps alone",
      "an expired version still unwraps",
      "what wraps also unwraps, or wraps nothing",
    ],
    change: (sound, service, key) => ({
      async wrap(dek, options) {
        await sound.current(options);
        const keyId = toyKeyId(key, 1);
        const wrapped = await translated(service.encrypt(key, 1, options.wrapAad(keyId), dek, options.signal));
        return { provider: sound.name, keyId, alg: 1, wrapped };
      },
    }),
  },
  {
    fault: "tells of the first version as current for ever",
    rejectedBy: ["after a rotation new wraps name the new version"],
    change: (sound, _service, key) => ({
      async current(options) {
        await sound.current(options);
        return toyKeyId(key, 1);
      },
    }),
  },
  {
    fault: "tries every version in turn",
    rejectedBy: ["a version opens its own wraps alone"],
    change: (sound, service, key) => ({
      async unwrap(recipient, options) {
        try {
          return await sound.unwrap(recipient, options);
        } catch (error) {
          const version = toyVersion(key, recipient.keyId) ?? 1;
          if (version === 1 || recipient.alg !== 1) throw error;
          return await translated(service.decrypt(key, version - 1, options.wrapAad(recipient.keyId), recipient.wrapped, options.signal));
        }
      },
    }),
  },
  {
    fault: "will not unwrap with an expired version",
    rejectedBy: ["an expired version still unwraps"],
    change: (sound, service, key) => ({
      async unwrap(recipient, options) {
        const dek = await sound.unwrap(recipient, options);
        const version = toyVersion(key, recipient.keyId) ?? 1;
        // A newer version is the sign of a rotation; asking every time would be a fault of its own.
        if ((await sound.current()) === recipient.keyId || !(await service.isExpired(key, version))) return dek;
        throw new EnvelockError("key-disabled", "this version has expired");
      },
    }),
  },
];
