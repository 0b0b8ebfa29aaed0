import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { failureCases, type Mutant, silentFailureCase } from "./mutant.ts";

export const BACKEND_MUTANTS: readonly Mutant[] = [
  {
    fault: "never looks at the signal",
    rejectedBy: ["an aborted signal stops it before any call", "an abort stops a call under way"],
    change: (sound) => ({
      wrap: async (dek, { signal: _, ...options }) => await sound.wrap(dek, options),
      unwrap: async (recipient, { signal: _, ...options }) => await sound.unwrap(recipient, options),
      current: async () => await sound.current(),
    }),
  },
  {
    fault: "looks at the signal before the call alone",
    rejectedBy: ["an abort stops a call under way"],
    change: (sound) => ({
      async unwrap(recipient, { signal, ...options }) {
        signal?.throwIfAborted();
        return await sound.unwrap(recipient, options);
      },
    }),
  },
  {
    fault: "waits for the answer before it looks at the signal",
    rejectedBy: ["an abort stops a call under way"],
    change: (sound) => ({
      async wrap(dek, { signal, ...options }) {
        signal?.throwIfAborted();
        const recipient = await sound.wrap(dek, options);
        signal?.throwIfAborted();
        return recipient;
      },
    }),
  },
  {
    fault: "has an error of its own for an abort",
    rejectedBy: ["an aborted signal stops it before any call", "an abort stops a call under way"],
    change: (sound) => ({
      unwrap: async (recipient, options) =>
        await sound.unwrap(recipient, options).catch((error: unknown) => {
          throw options.signal?.aborted ? new EnvelockError("timeout", "the call was aborted") : error;
        }),
    }),
  },
  {
    fault: "calls the service before it looks at the signal",
    rejectedBy: ["an aborted signal stops it before any call"],
    change: (sound, service, key) => ({
      async current(options) {
        if (options?.signal?.aborted) await service.latest(key);
        return await sound.current(options);
      },
    }),
  },
  {
    fault: "reads the key's attributes before each unwrap",
    rejectedBy: ["no more calls than declared"],
    change: (sound, service, key) => ({
      async unwrap(recipient, options) {
        const isOurs = sound.owns(recipient.keyId) && recipient.alg === 1 && options.signal?.aborted !== true;
        const dek = await sound.unwrap(recipient, options);
        if (isOurs) await service.isExpired(key, 1);
        return dek;
      },
    }),
  },
  {
    fault: "has one code for every failure",
    rejectedBy: [...failureCases("wrap"), ...failureCases("unwrap"), silentFailureCase("wrap"), silentFailureCase("unwrap")].filter(
      (name) => !name.startsWith("provider-failure "),
    ),
    change: (sound) =>
      changeErrors(sound, ({ code, message, cause }) => {
        const isOperational = code !== "unwrap-rejected" && code !== "closed";
        return new EnvelockError(isOperational ? "provider-failure" : code, message, { cause });
      }),
  },
  {
    fault: "drops the service's error",
    rejectedBy: [...failureCases("wrap"), ...failureCases("unwrap")],
    change: (sound) => changeErrors(sound, ({ code, message }) => new EnvelockError(code, message)),
  },
  {
    fault: "makes up a cause where the service raised no error",
    rejectedBy: [silentFailureCase("wrap"), silentFailureCase("unwrap")],
    change: (sound) =>
      changeErrors(sound, ({ code, message, cause = new TypeError("made up") }) => new EnvelockError(code, message, { cause })),
  },
  {
    fault: "wraps its own error in its own error",
    rejectedBy: [...failureCases("unwrap"), silentFailureCase("unwrap")],
    change: (sound) => ({
      unwrap: changeErrors(sound, (error) => new EnvelockError(error.code, error.message, { cause: error })).unwrap,
    }),
  },
  {
    fault: "lets the service's error out as it is",
    rejectedBy: [...failureCases("wrap"), "what wraps also unwraps, or wraps nothing"],
    change: (sound) => ({
      wrap: async (dek, options) =>
        await sound.wrap(dek, options).catch((error: unknown) => {
          throw error instanceof EnvelockError && error.cause !== undefined ? error.cause : error;
        }),
    }),
  },
  {
    fault: "tries again by itself",
    rejectedBy: [...failureCases("unwrap"), silentFailureCase("unwrap")],
    change: (sound) => ({
      unwrap: async (recipient, options) =>
        await sound.unwrap(recipient, options).catch(async (error: unknown) => {
          if (error instanceof EnvelockError && error.code !== "unwrap-rejected") return await sound.unwrap(recipient, options);
          throw error;
        }),
    }),
  },
  {
    fault: "keeps a failed start for ever",
    rejectedBy: [...failureCases("wrap"), silentFailureCase("wrap")],
    change(sound) {
      let start: Promise<string> | undefined;
      return {
        async wrap(dek, options) {
          options.signal?.throwIfAborted();
          start ??= sound.current();
          await start;
          return await sound.wrap(dek, options);
        },
      };
    },
  },
];

/** The same provider, whose own errors are others. */
function changeErrors(
  sound: Pick<KeyProvider, "wrap" | "unwrap">,
  change: (error: EnvelockError) => EnvelockError,
): Pick<KeyProvider, "wrap" | "unwrap"> {
  const changed = (error: unknown): never => {
    throw error instanceof EnvelockError ? change(error) : error;
  };
  return {
    wrap: async (dek, options) => await sound.wrap(dek, options).catch(changed),
    unwrap: async (recipient, options) => await sound.unwrap(recipient, options).catch(changed),
  };
}
