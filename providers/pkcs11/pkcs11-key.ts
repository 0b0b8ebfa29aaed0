import { isBytes, wipe } from "../../src/core/base/bytes.ts";
import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { rejected } from "./cryptoki/failures.ts";
import { ownedKey } from "./key-id.ts";
import { keysInThread } from "./keys-in-thread.ts";
import { keyInUri, keySelector, type Pkcs11KeySelector, type Pkcs11TokenOptions, TOKEN_OPTIONS, tokenLocation } from "./options.ts";
import type { WrapTarget } from "./token-keys.ts";
import { type Pkcs11Mechanism, WRAPPINGS, type Wrapping } from "./wrapping/wrappings.ts";

export interface Pkcs11KeyOptions extends Pkcs11TokenOptions {
  /**
   * The KEK: an AES key, or an RSA pair. Without an id, all keys of the label are its versions: the newest by start date, then by id,
   * wraps, and all of them unwrap.
   */
  readonly key?: Pkcs11KeySelector;
  /** Further keys that unwrap. */
  readonly olderKeys?: readonly Pkcs11KeySelector[];
  /**
   * The mechanism that wraps data keys. Default: the best that token and key allow, in the order `aes-gcm`, `aes-kw`, `aes-kwp`, or
   * `rsa-oaep-256`, `rsa-oaep-sha1`; an AES key then unwraps with that one alone, an RSA key with both. If it is named here, it alone
   * wraps and unwraps.
   */
  readonly mechanism?: Pkcs11Mechanism;
  /** Further mechanisms that unwrap, for data from before `mechanism`, the key's rights or the token changed. */
  readonly unwrapMechanisms?: readonly Pkcs11Mechanism[];
  /** `token` (default): the token encrypts with the public key object. `local`: this process does, with the numbers that the private key shows. */
  readonly rsaWrap?: "token" | "local";
  /** The time for which the version that wraps is kept before the token is asked again, in milliseconds. Default 60,000. */
  readonly versionCacheMs?: number;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
}

/**
 * A KEK on a token behind PKCS#11, through `pkcs11js`, which must be installed. Nothing is loaded or called before the first wrap or
 * unwrap. Before a key version wraps the first data key, one that protects nothing is wrapped and unwrapped under it.
 *
 * @throws `invalid-argument`; its methods what a `KeyProvider` throws, with the details of docs/providers/pkcs11.md
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { Keyring } from "envelock";
 * import { pkcs11Key } from "envelock/providers/pkcs11";
 *
 * const key = pkcs11Key({
 *   module: "/usr/lib/softhsm/libsofthsm2.so",
 *   token: { label: "hsm" },
 *   key: { label: "orders" },
 *   pin: async () => (await readFile("/run/secrets/hsm-pin", "utf8")).trimEnd(),
 * });
 * const keyring = new Keyring({ wrapWith: [key] });
 * ```
 * @see docs/providers/pkcs11.md
 */
export function pkcs11Key(options: Pkcs11KeyOptions): Required<KeyProvider> {
  refuseUnknown(options, KEY_OPTIONS, "pkcs11Key");
  const { clock = systemClock, rsaWrap = "token", versionCacheMs = ONE_MINUTE_MS } = options;
  const { uri, ...location } = tokenLocation(options);
  const keyOfUri = keyInUri(uri);
  if (options.key !== undefined && keyOfUri !== undefined) throw invalidArgument("the key is named by `uri` or by `key`, not by both");
  const key = keySelector("the key", options.key ?? keyOfUri);
  const ownKeys = [key, ...(options.olderKeys ?? []).map((older) => keySelector("an older key", older))];
  const unwrapAlgs = unwrapAlgorithms(options);
  const alsoUnwraps = (options.unwrapMechanisms ?? []).map((name) => wrappingNamed(name).alg);
  if (rsaWrap !== "token" && rsaWrap !== "local") throw invalidArgument('rsaWrap is "token" or "local"');
  if (!(versionCacheMs >= 0)) throw invalidArgument("versionCacheMs is a time in milliseconds");
  const keysOptions = { location, key, mechanism: options.mechanism, alsoUnwraps, isRsaWrapLocal: rsaWrap === "local" };
  const keys = keysInThread(keysOptions, options);
  let isClosed = false;
  let kept: { readonly target: Promise<WrapTarget>; readonly untilMs: number } | undefined;

  const requireOpen = (signal: AbortSignal | undefined): void => {
    if (isClosed) throw new EnvelockError("closed", "this PKCS#11 key has been closed");
    signal?.throwIfAborted();
  };
  const forget = (): void => {
    kept = undefined;
  };
  const target = (): Promise<WrapTarget> => {
    const nowMs = clock.unixMs();
    if (kept !== undefined && nowMs < kept.untilMs) return kept.target;
    const looked = { target: keys.current(nowMs), untilMs: nowMs + versionCacheMs };
    kept = looked;
    looked.target.catch(() => {
      if (kept === looked) forget();
    });
    return looked.target;
  };

  return {
    name: NAME,
    owns: (keyId) => ownedKey(keyId, location.token, ownKeys) !== undefined,
    async wrap(dek, { wrapAad, signal }) {
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      requireOpen(signal);
      const { keyId, alg } = await waitFor(target(), { signal });
      requireOpen(signal);
      try {
        return { provider: NAME, keyId, alg, wrapped: await waitFor(keys.wrap({ keyId, alg }, dek, wrapAad(keyId)), { signal }) };
      } catch (error) {
        forget();
        throw error;
      }
    },
    async unwrap({ provider, keyId, alg, wrapped }, { wrapAad, signal }) {
      requireOpen(signal);
      const isOwn = provider === NAME && ownedKey(keyId, location.token, ownKeys) !== undefined;
      if (!isOwn || !unwrapAlgs.has(alg) || !isWrappedLength(alg, wrapped.length)) {
        throw rejected();
      }
      return await waitFor(keys.unwrap(keyId, alg, wrapped, wrapAad(keyId)), { signal }, wipe);
    },
    async current({ signal } = {}) {
      requireOpen(signal);
      return (await waitFor(target(), { signal })).keyId;
    },
    async close() {
      isClosed = true;
      await keys.close();
    },
  };
}

/** The algorithms that the options allow to unwrap; key and token may allow fewer. @throws `invalid-argument` */
function unwrapAlgorithms({ mechanism, unwrapMechanisms = [] }: Pkcs11KeyOptions): ReadonlySet<number> {
  if (mechanism === undefined) return new Set(WRAPPINGS.map(({ alg }) => alg));
  return new Set([mechanism, ...unwrapMechanisms].map((name) => wrappingNamed(name).alg));
}

/** @throws `invalid-argument` */
function wrappingNamed(name: Pkcs11Mechanism): Wrapping {
  const wrapping = WRAPPINGS.find((candidate) => candidate.name === name);
  if (wrapping === undefined) throw invalidArgument(`a mechanism is one of ${WRAPPINGS.map((known) => known.name).join(", ")}`);
  return wrapping;
}

function isWrappedLength(alg: number, bytes: number): boolean {
  if (alg === WRAP_ALGORITHMS.aesGcm) return bytes === 60;
  if (alg === WRAP_ALGORITHMS.aesKw || alg === WRAP_ALGORITHMS.aesKwp) return bytes === 40;
  return bytes >= MIN_MODULUS_BYTES && bytes <= MAX_MODULUS_BYTES;
}

const KEY_OPTIONS: OptionNames<Pkcs11KeyOptions> = {
  ...TOKEN_OPTIONS,
  key: true,
  olderKeys: true,
  mechanism: true,
  unwrapMechanisms: true,
  rsaWrap: true,
  versionCacheMs: true,
  clock: true,
};
const NAME = "pkcs11";
const MIN_MODULUS_BYTES = 256;
const MAX_MODULUS_BYTES = 1024;
const ONE_MINUTE_MS = 60_000;
