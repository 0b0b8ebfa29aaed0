import { concatBytes } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { type SoundProvider, toyKey, toyKeyId, toyRejected, translated } from "../toy/toy-key.ts";
import type { Mutant } from "./mutant.ts";

export const REFUSAL_MUTANTS: readonly Mutant[] = [
  {
    fault: "believes the key name that stands in the key id",
    rejectedBy: ["another KEK is refused"],
    change(sound, service, key) {
      const named = (keyId: string): SoundProvider => {
        const name = /^toy:\/\/keys\.example\/([a-z]+)\/[1-9]\d{0,8}$/.exec(keyId)?.[1] ?? key;
        return name === key ? sound : toyKey(service, name);
      };
      return {
        owns: (keyId) => named(keyId).owns(keyId),
        unwrap: async (recipient, options) => await named(recipient.keyId).unwrap(recipient, options),
      };
    },
  },
  {
    fault: "ignores a flag bit in front of the ciphertext",
    rejectedBy: ["every flipped bit is refused"],
    change: (sound) => ({
      async wrap(dek, options) {
        const recipient = await sound.wrap(dek, options);
        return { ...recipient, wrapped: concatBytes(Uint8Array.of(2), recipient.wrapped) };
      },
      async unwrap(recipient, options) {
        if (((recipient.wrapped[0] ?? 0) | 1) !== 3) throw toyRejected();
        return await sound.unwrap({ ...recipient, wrapped: recipient.wrapped.subarray(1) }, options);
      },
    }),
  },
  {
    fault: "reads what it needs and ignores the rest",
    rejectedBy: ["truncated and extended bytes are refused"],
    change: (sound) => ({
      unwrap: async (recipient, options) => await sound.unwrap({ ...recipient, wrapped: recipient.wrapped.subarray(0, 72) }, options),
    }),
  },
  {
    fault: "lets the parser's error out when bytes are missing",
    rejectedBy: ["truncated and extended bytes are refused"],
    change: (sound) => ({
      async unwrap(recipient, options) {
        if (recipient.wrapped.length < 72) throw new RangeError("offset is out of bounds");
        return await sound.unwrap(recipient, options);
      },
    }),
  },
  {
    fault: "leaves the wrap AAD out",
    rejectedBy: ["another context is refused"],
    change: (sound) => ({
      wrap: async (dek, options) => await sound.wrap(dek, { ...options, wrapAad: () => new Uint8Array(0) }),
      unwrap: async (recipient, options) => await sound.unwrap(recipient, { ...options, wrapAad: () => new Uint8Array(0) }),
    }),
  },
  {
    fault: "owns whatever begins as its key ids do",
    rejectedBy: ["hostile key ids are not owned"],
    change: (_sound, _service, key) => ({ owns: (keyId) => keyId.startsWith(toyKeyId(key, 1).slice(0, -1)) }),
  },
  {
    fault: "looks key ids up in an object",
    rejectedBy: ["hostile key ids are not owned"],
    change(sound) {
      const extra: Readonly<Record<string, boolean>> = {};
      return { owns: (keyId) => sound.owns(keyId) || extra[keyId] !== undefined };
    },
  },
  {
    fault: "parses key ids with a function that throws",
    rejectedBy: ["hostile key ids are not owned"],
    change: (sound) => ({ owns: (keyId) => sound.owns(decodeURIComponent(encodeURIComponent(keyId))) }),
  },
  {
    fault: "trims key ids",
    rejectedBy: ["hostile key ids are not owned"],
    change: (sound) => ({ owns: (keyId) => sound.owns(keyId.trim()) }),
  },
  {
    fault: "asks the service before it owns anything",
    rejectedBy: ["another KEK is refused", "hostile key ids are not owned", "hostile key ids reach no backend"],
    change: (sound, service, key) => ({
      owns(keyId) {
        void service.latest(key);
        return sound.owns(keyId);
      },
      async unwrap(recipient, options) {
        if (!sound.owns(recipient.keyId)) await service.latest(key);
        return await sound.unwrap(recipient, options);
      },
    }),
  },
  {
    fault: "sends any key id to the service",
    rejectedBy: ["another KEK is refused", "hostile key ids reach no backend"],
    change: (sound, service, key) => ({
      async unwrap(recipient, options) {
        if (sound.owns(recipient.keyId)) return await sound.unwrap(recipient, options);
        return await translated(service.decrypt(key, 0, options.wrapAad(recipient.keyId), recipient.wrapped, options.signal));
      },
    }),
  },
  {
    fault: "says of a foreign key id that the key was not found",
    rejectedBy: ["another KEK is refused", "hostile key ids reach no backend"],
    change: (sound) => ({
      async unwrap(recipient, options) {
        if (!sound.owns(recipient.keyId)) throw new EnvelockError("key-not-found", "no such key");
        return await sound.unwrap(recipient, options);
      },
    }),
  },
  {
    fault: "takes any algorithm",
    rejectedBy: ["foreign algorithms reach no backend"],
    change: (sound) => ({ unwrap: async (recipient, options) => await sound.unwrap({ ...recipient, alg: 1 }, options) }),
  },
  {
    fault: "lets the service judge the algorithm",
    rejectedBy: ["foreign algorithms reach no backend"],
    change: (sound, service, key) => ({
      async unwrap(recipient, options) {
        if (recipient.alg !== 1) await service.latest(key, options.signal);
        return await sound.unwrap(recipient, options);
      },
    }),
  },
];
