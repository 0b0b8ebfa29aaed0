import { isBytes, isTextOfAtMost, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { singleFlight } from "../../src/core/base/single-flight.ts";
import { throwIfAborted } from "../../src/core/contracts/call-signal.ts";
import { withInstantKey } from "../../src/core/contracts/instant-key.ts";
import type { KeyProvider, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";

/** One version of a KEK, ready for use. */
export type Kek = InstantKek | SlowKek;

/** A KEK whose bytes are at hand. */
export interface InstantKek {
  readonly isInstant: true;
  /** Neither keeps nor changes its arguments. */
  wrap(dek: Uint8Array, aad: Uint8Array): Uint8Array;
  /** Returns 32 bytes, or undefined if this version did not wrap them with this AAD. */
  unwrap(wrapped: Uint8Array, aad: Uint8Array): OwnedBytes | undefined;
  /** Wipes what can be wiped. */
  destroy(): void;
}

/** A KEK whose bytes WebCrypto holds. Otherwise like `InstantKek`. */
export interface SlowKek {
  readonly isInstant: false;
  /** Reads `dek` before it returns. */
  wrap(dek: Uint8Array, aad: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Reads `wrapped` before it returns. */
  unwrap(wrapped: Uint8Array, aad: Uint8Array): Promise<OwnedBytes | undefined>;
  destroy(): void;
}

/** A KEK that is there, or that is loaded when first used. */
export interface KekSource {
  /** The KEK, once it is there. */
  readonly ready: Kek | undefined;
  use(): Kek | Promise<Kek>;
  destroy(): void;
}

export interface LocalProviderOptions {
  readonly alg: number;
  readonly versions: readonly { readonly keyId: string; readonly kek: KekSource }[];
  /** The key id of the version that wraps; the others only unwrap. */
  readonly primary: string;
}

/**
 * Makes a provider of this folder: one KEK in this process with all its versions.
 *
 * @throws `invalid-argument` for bad or equal key ids, or a primary that is none of them
 */
export function localProvider({ alg, versions, primary }: LocalProviderOptions): Required<KeyProvider> {
  const keyIds: ReadonlySet<string> = new Set(versions.map(({ keyId }) => keyId)); // `owns` still answers after close
  let open: OpenVersions | undefined = openVersions(versions, primary);

  const live = (): OpenVersions => {
    if (open === undefined) throw new EnvelockError("closed", "this local key has been closed");
    return open;
  };
  const loaded = async (pending: Promise<Kek>, { signal }: WrapOptions): Promise<Kek> => {
    const kek = await pending;
    if (open === undefined) kek.destroy();
    live();
    signal?.throwIfAborted();
    return kek;
  };

  const provider: Required<KeyProvider> = {
    name: NAME,
    owns: (keyId) => keyIds.has(keyId),
    async wrap(dek, options) {
      throwIfAborted(options);
      const { primary: source } = live();
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      const kek = source.use();
      const ready = kek instanceof Promise ? await loaded(kek, options) : kek;
      const wrapped = ready.wrap(dek, options.wrapAad(primary));
      // a turn of the queue for a key that has answered would cost the core a timer for each call
      return { provider: NAME, keyId: primary, alg, wrapped: wrapped instanceof Promise ? await wrapped : wrapped };
    },
    async unwrap(recipient, options) {
      throwIfAborted(options);
      const source = live().byKeyId.get(recipient.keyId);
      if (source === undefined || recipient.provider !== NAME || recipient.alg !== alg) throw rejected();
      const kek = source.use();
      const ready = kek instanceof Promise ? await loaded(kek, options) : kek;
      const opened = ready.unwrap(recipient.wrapped, options.wrapAad(recipient.keyId));
      const dek = opened instanceof Promise ? await opened : opened;
      if (dek === undefined) throw rejected();
      return dek;
    },
    async current({ signal } = {}) {
      signal?.throwIfAborted();
      live();
      return primary;
    },
    async close() {
      for (const source of open?.byKeyId.values() ?? []) source.destroy();
      open = undefined;
    },
  };
  return withInstantKey(provider, {
    wrapNow(dek, wrapAad) {
      const kek = readyIn(open?.primary);
      return kek && { provider: NAME, keyId: primary, alg, wrapped: kek.wrap(dek, wrapAad(primary)) };
    },
    unwrapNow({ provider: name, keyId, alg: given, wrapped }, wrapAad) {
      return name === NAME && given === alg ? readyIn(open?.byKeyId.get(keyId))?.unwrap(wrapped, wrapAad(keyId)) : undefined;
    },
  });
}

function readyIn(source: KekSource | undefined): InstantKek | undefined {
  const { ready } = source ?? {};
  return ready?.isInstant === true ? ready : undefined;
}

export function readyKek(kek: Kek): KekSource {
  return { ready: kek, use: () => kek, destroy: () => kek.destroy() };
}

/**
 * Loads at first use, once for all callers that wait. The next use tries a failed load again.
 *
 * @param secret what `load` keeps for that, wiped at the end
 */
export function lazyKek(load: () => Promise<Kek>, secret?: Uint8Array): KekSource {
  let kek: Kek | undefined;
  const loading = singleFlight(async () => {
    kek = await load();
    return kek;
  });
  return {
    get ready() {
      return kek;
    },
    use: () => kek ?? loading(),
    destroy() {
      wipe(secret);
      kek?.destroy();
    },
  };
}

/**
 * Returns the versions of a KEK as the caller gave them.
 *
 * @throws `invalid-argument` if they are no array of known options
 */
export function keysOf<T extends object>(keys: readonly T[], known: OptionNames<T>, what: string): readonly T[] {
  if (!Array.isArray(keys) || keys.length === 0) throw invalidArgument(`${what} needs an array of at least one key`);
  for (const key of keys) refuseUnknown(key, known, what);
  return keys;
}

/** @throws `invalid-argument` for a key id that may not stand in a recipient. docs/format.md §3 */
export function requireKeyId(keyId: unknown): asserts keyId is string {
  if (!isTextOfAtMost(MAX_KEY_ID_BYTES, keyId)) throw invalidArgument(`a key id has 1 to ${MAX_KEY_ID_BYTES} bytes of well-formed text`);
}

interface OpenVersions {
  readonly primary: KekSource;
  readonly byKeyId: ReadonlyMap<string, KekSource>;
}

function openVersions(versions: LocalProviderOptions["versions"], primaryId: string): OpenVersions {
  const byKeyId = new Map<string, KekSource>();
  for (const { keyId, kek } of versions) {
    requireKeyId(keyId);
    if (byKeyId.has(keyId)) throw invalidArgument(`two keys are called "${keyId}"`);
    byKeyId.set(keyId, kek);
  }
  const primary = byKeyId.get(primaryId);
  if (primary === undefined) throw invalidArgument("the primary names none of the keys");
  return { primary, byKeyId };
}

function rejected(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "the local key did not wrap this data key in this context");
}

const NAME = "local";
const MAX_KEY_ID_BYTES = 512;
