import { concatBytes, copyOf, toBase64Url, toHex } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { toyKey } from "../toy/toy-key.ts";
import { ToyFailure, type ToyKeyService } from "../toy/toy-key-service.ts";
import type { Mutant } from "./mutant.ts";

export const LIFECYCLE_MUTANTS: readonly Mutant[] = [
  {
    fault: "cannot be closed twice",
    rejectedBy: ["close twice is fine and use after close is `closed`"],
    change(sound) {
      let isClosed = false;
      return {
        async close() {
          if (isClosed) throw new EnvelockError("closed", "this toy key has been closed");
          isClosed = true;
          await sound.close();
        },
      };
    },
  },
  {
    fault: "works on after close",
    rejectedBy: ["close twice is fine and use after close is `closed`"],
    change: () => ({ close: async () => {} }),
  },
  {
    fault: "tells of its current version after close",
    rejectedBy: ["close twice is fine and use after close is `closed`"],
    change(_sound, service, key) {
      const { current } = toyKey(service, key);
      return { current };
    },
  },
  {
    fault: "shares one connection and closes it for all",
    rejectedBy: ["closing one provider leaves the others open"],
    change: (sound, service) => ({
      async unwrap(recipient, options) {
        if (CLOSED_FOR_ALL.has(service)) throw new EnvelockError("closed", "the connection has been closed");
        return await sound.unwrap(recipient, options);
      },
      async close() {
        CLOSED_FOR_ALL.add(service);
        await sound.close();
      },
    }),
  },
  {
    fault: "keeps the last data key in a property",
    rejectedBy: ["no secret in provider or recipient"],
    change(sound) {
      const state = { last: new Uint8Array(0) };
      return {
        state,
        async wrap(dek, options) {
          state.last = copyOf(dek);
          return await sound.wrap(dek, options);
        },
      };
    },
  },
  {
    fault: "keeps its KEK in a hidden property",
    rejectedBy: ["no secret in provider or recipient"],
    change(_sound, service, key) {
      const state = {};
      Object.defineProperty(state, "kek", { value: service.secrets(key)[0], enumerable: false });
      return { state };
    },
  },
  {
    fault: "writes its KEK into its JSON",
    rejectedBy: ["no secret in provider or recipient"],
    change: (_sound, service, key) => ({ toJSON: () => ({ kek: [...(service.secrets(key)[0] ?? [])] }) }),
  },
  {
    fault: "authenticates the data key and does not encrypt it",
    rejectedBy: ["no secret in provider or recipient"],
    change: (sound) => ({
      async wrap(dek, { wrapAad, ...options }) {
        const recipient = await sound.wrap(new Uint8Array(0), { ...options, wrapAad: (keyId) => concatBytes(dek, wrapAad(keyId)) });
        return { ...recipient, wrapped: concatBytes(dek, recipient.wrapped) };
      },
      async unwrap(recipient, { wrapAad, ...options }) {
        const dek = recipient.wrapped.slice(0, 32);
        const wrapped = recipient.wrapped.subarray(32);
        await sound.unwrap({ ...recipient, wrapped }, { ...options, wrapAad: (keyId) => concatBytes(dek, wrapAad(keyId)) });
        return dek;
      },
    }),
  },
  {
    fault: "names the data key in its errors",
    rejectedBy: ["no secret in errors"],
    change: (sound) => ({
      wrap: async (dek, options) =>
        await sound.wrap(dek, options).catch((error: unknown) => {
          if (!(error instanceof EnvelockError)) throw error;
          throw new EnvelockError(error.code, `could not wrap ${toHex(dek)}`, { cause: error.cause });
        }),
    }),
  },
  {
    fault: "passes on a client's error that holds the request's body",
    rejectedBy: ["no secret in errors"],
    change: (sound) => ({
      wrap: async (dek, options) =>
        await sound.wrap(dek, options).catch((error: unknown) => {
          if (!(error instanceof EnvelockError) || error.cause === undefined) throw error;
          const cause = new ToyFailure(500, JSON.stringify({ alg: "RSA-OAEP-256", value: toBase64Url(dek) }));
          throw new EnvelockError(error.code, error.message, { cause: new Error("the client failed", { cause }) });
        }),
    }),
  },
  {
    fault: "reads its settings from the environment",
    rejectedBy: ["an empty environment is enough"],
    change: (sound) => ({
      async wrap(dek, options) {
        if (!("ENVELOCK_TEST_ENGINE" in process.env)) throw new EnvelockError("invalid-argument", "a variable is missing");
        return await sound.wrap(dek, options);
      },
    }),
  },
];

const CLOSED_FOR_ALL = new WeakSet<ToyKeyService>();
