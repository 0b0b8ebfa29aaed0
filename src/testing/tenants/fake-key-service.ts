import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import { waitWithin } from "../../core/base/wait.ts";
import { WRAP_ALGORITHMS } from "../../core/contracts/algorithms.ts";
import type { Finding } from "../../core/contracts/finding.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../core/contracts/key-provider.ts";
import type { TenantKeyOpener } from "../../core/contracts/tenant-keys.ts";
import { checkedMode, FAKE_KEY_MODES, type FakeKeyMode } from "./fake-key-modes.ts";
import type { HostedKey, TenantKeyHost } from "./key-host.ts";

export interface FakeKeyServiceOptions {
  /** The time source. Default: that of the machine. */
  readonly clock?: Clock;
  /** The duration of a call of a `slow` key. Default 800. */
  readonly slowMs?: number;
}

/**
 * A key service in this process for tests of tenants: named keys that wrap with AES-256-GCM, each of which can be made to fail in the ways in
 * which a tenant's key fails. Counts every call.
 *
 * @example
 * ```ts
 * import { FakeKeyService } from "envelock/testing/tenants";
 * import { memoryTenantStore, Tenants } from "envelock/tenants";
 *
 * const service = new FakeKeyService();
 * service.addKey("vaults/acme/keys/saas");
 * export const tenants = new Tenants({ store: memoryTenantStore(), open: service.opener });
 * service.setMode("vaults/acme/keys/saas", "denied");
 * ```
 */
export class FakeKeyService implements TenantKeyHost {
  readonly #clock: Clock;
  readonly #slowMs: number;
  readonly #keys = new Map<string, FakeKey>();

  /** The opener for `Tenants`, of the kind `fake`. It allows names of keys that were added, with or without capitals. */
  readonly opener: TenantKeyOpener;
  readonly modes: readonly FakeKeyMode[] = FAKE_KEY_MODES;

  /** @throws `invalid-argument` for an unknown option, a clock that is none, and a negative `slowMs` */
  constructor(options: FakeKeyServiceOptions = {}) {
    refuseUnknown(options, OPTIONS, "FakeKeyService");
    const { clock = systemClock, slowMs = 800 } = options;
    if (typeof clock?.after !== "function" || typeof clock.unixMs !== "function")
      throw invalidArgument("clock must be a Clock", "Leave it out to use the time of the machine, or give a TestClock.");
    if (typeof slowMs !== "number" || !(slowMs >= 0))
      throw invalidArgument(`slowMs is ${shownValue(slowMs)}, expected a number of at least 0`);
    this.#clock = clock;
    this.#slowMs = slowMs;
    this.opener = {
      kind: "fake",
      accept: ({ key }) => {
        const name = key.toLowerCase();
        if (!NAME.test(name))
          throw invalidArgument("the name of a fake key is a path of letters, digits and -", "such as vaults/acme/keys/saas");
        return { name, payer: name.split("/")[1] ?? name };
      },
      open: ({ key }) => this.#open(key.toLowerCase()),
      diagnose: async ({ key }) => this.#diagnose(key.toLowerCase()),
      destroy: async ({ key }) => this.setMode(key.toLowerCase(), "deleted"),
    };
  }

  /**
   * Adds a key, or another version of it, which wraps from now on.
   *
   * @param name a path of 2 to 8 parts of a-z, 0-9 and -, such as `vaults/acme/keys/saas`
   * @param mode how a new key behaves. Another version leaves the mode of its key as it is
   * @throws `invalid-argument` for a bad name or mode
   */
  addKey(name: string, mode: FakeKeyMode = "healthy"): void {
    if (typeof name !== "string" || !NAME.test(name))
      throw invalidArgument("the name of a fake key is a path of a-z, 0-9 and -", "such as vaults/acme/keys/saas");
    const key = this.#keys.get(name) ?? { mode: checkedMode(mode), versions: [], calls: 0 };
    key.versions.push(randomBytes(32));
    this.#keys.set(name, key);
  }

  /** Adds the key `vaults/<tenant>/keys/saas`, if it is not there. */
  describeKey(tenant: string): HostedKey {
    const key = nameFor(tenant);
    if (!this.#keys.has(key)) this.addKey(key);
    return { key: { kind: "fake", key } };
  }

  /**
   * Makes a key behave otherwise from now on.
   *
   * @param name the name of a key, or the id of a tenant that `describeKey` named one after
   * @throws `invalid-argument` for a key that was never added, and for an unknown mode
   */
  setMode(name: string, mode: FakeKeyMode): void {
    const checked = checkedMode(mode);
    this.#of(name).mode = checked;
  }

  /** Makes a key behave otherwise after `afterMs` of the clock. @throws as `setMode`, now */
  revokeAfter(name: string, afterMs: number, mode: FakeKeyMode = "denied"): void {
    const key = this.#of(name);
    const checked = checkedMode(mode);
    if (typeof afterMs !== "number" || !(afterMs >= 0))
      throw invalidArgument(`afterMs is ${shownValue(afterMs)}, expected a number of at least 0`);
    this.#clock.after(
      afterMs,
      () => {
        key.mode = checked;
      },
      "idle",
    );
  }

  /** Makes a key behave otherwise at a time of the clock. @param atMs milliseconds since 1970 @throws as `setMode`, now */
  revokeAt(name: string, atMs: number, mode: FakeKeyMode = "denied"): void {
    if (!Number.isFinite(atMs)) throw invalidArgument(`atMs is ${shownValue(atMs)}, expected milliseconds since 1970`);
    this.revokeAfter(name, Math.max(0, atMs - this.#clock.unixMs()), mode);
  }

  /** The calls of a key so far; of all keys without a name. @throws `invalid-argument` for a key that was never added */
  calls(name?: string): number {
    if (name !== undefined) return this.#of(name).calls;
    return [...this.#keys.values()].reduce((sum, key) => sum + key.calls, 0);
  }

  callsOf(tenant: string): number {
    return this.#of(tenant).calls;
  }

  /** The mode of a key. @throws `invalid-argument` for a key that was never added */
  modeOf(name: string): FakeKeyMode {
    return this.#of(name).mode;
  }

  #of(name: string): FakeKey {
    const key = this.#keys.get(name) ?? this.#keys.get(nameFor(name));
    if (key === undefined) throw invalidArgument(`the fake key service has no key ${shownValue(name)}`, "`addKey` adds it.");
    return key;
  }

  #open(name: string): KeyProvider {
    const versionOf = (keyId: string): number | undefined => {
      const [start, version = ""] = keyId.split("#");
      return start === `fake:${name}` && /^[1-9]\d{0,8}$/.test(version) ? Number(version) : undefined;
    };
    let isClosed = false;
    const key = async (options: { readonly signal?: AbortSignal }): Promise<FakeKey> => {
      options.signal?.throwIfAborted();
      if (isClosed) throw new EnvelockError("closed", "this fake key has been closed");
      const found = this.#keys.get(name);
      if (found !== undefined) found.calls++;
      if (found === undefined || found.mode === "deleted") throw failure("key-not-found", name);
      await this.#delay(found.mode, options.signal);
      const failing = FAILURES[found.mode];
      if (failing !== undefined) throw failure(failing, name);
      return found;
    };
    return {
      name: "fake",
      owns: (keyId) => versionOf(keyId) !== undefined,
      async wrap(dek, options) {
        const { versions, mode } = await key(options);
        const keyId = `fake:${name}#${versions.length}`;
        return { provider: "fake", keyId, alg: ALG, wrapped: seal(lastOf(versions), dek, aadOf(mode, keyId, options)) };
      },
      async unwrap(recipient, options) {
        const version = versionOf(recipient.keyId);
        if (version === undefined || recipient.alg !== ALG) throw rejected(recipient);
        const { versions, mode } = await key(options);
        const secret = versions[version - 1];
        const opened = secret && open(secret, recipient.wrapped, aadOf(mode, recipient.keyId, options));
        if (opened === undefined) throw rejected(recipient);
        return opened;
      },
      async current(options = {}) {
        return `fake:${name}#${(await key(options)).versions.length}`;
      },
      async close() {
        isClosed = true;
      },
    };
  }

  async #delay(mode: FakeKeyMode, signal: AbortSignal | undefined): Promise<void> {
    if (mode !== "slow" && mode !== "hanging") return;
    await waitWithin<void>({ signal }, (resolve) => (mode === "slow" ? this.#clock.after(this.#slowMs, resolve, "awaited") : undefined));
  }

  #diagnose(name: string): readonly Finding[] {
    const mode = this.#keys.get(name)?.mode ?? "deleted";
    const failing = mode === "deleted" ? "key-not-found" : FAILURES[mode];
    if (failing !== undefined)
      return [{ check: "key", status: "failed", message: `the fake key is ${mode}`, advice: failure(failing, name).hint ?? "" }];
    const expiresMs = mode === "expiring" ? this.#clock.unixMs() + 20 * DAY_MS : null;
    return [{ check: "key", status: "ok", message: "the fake key is enabled", notAfterMs: expiresMs }];
  }
}

interface FakeKey {
  mode: FakeKeyMode;
  readonly versions: Uint8Array[];
  calls: number;
}

/** Names the key of a tenant. Two ids never share a name. */
function nameFor(tenant: string): string {
  if (typeof tenant !== "string" || tenant === "") throw invalidArgument("the id of a tenant is text");
  const isPlain = /^[a-z0-9-]{1,64}$/.test(tenant) && !tenant.startsWith(ENCODED);
  return `vaults/${isPlain ? tenant : `${ENCODED}${Buffer.from(tenant).toString("hex")}`}/keys/saas`;
}

function seal(key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad);
  return new Uint8Array(Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

function open(key: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
  if (sealed.length < 28) return undefined;
  const end = sealed.length - 16;
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12)).setAAD(aad).setAuthTag(sealed.subarray(end));
  try {
    return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(12, end)), decipher.final()]));
  } catch {
    return undefined;
  }
}

function aadOf(mode: FakeKeyMode, keyId: string, { wrapAad }: WrapOptions): Uint8Array {
  return mode === "context-ignored" ? new Uint8Array(0) : wrapAad(keyId);
}

function lastOf(versions: readonly Uint8Array[]): Uint8Array {
  return versions.at(-1) ?? new Uint8Array(0);
}

function failure(code: "access-denied" | "key-disabled" | "key-not-found" | "rate-limited" | "unavailable", name: string): EnvelockError {
  return new EnvelockError(code, `the fake key service answered ${code} for ${name}`, { hint: HINTS[code] });
}

function rejected({ keyId }: Recipient): EnvelockError {
  return new EnvelockError("unwrap-rejected", `the fake key did not wrap this: ${keyId}`);
}

const DAY_MS = 86_400_000;
const OPTIONS: OptionNames<FakeKeyServiceOptions> = { clock: true, slowMs: true };
const ALG = WRAP_ALGORITHMS.opaqueWithContext;
const ENCODED = "hex--";
const NAME = /^[a-z0-9-]+(\/[a-z0-9-]+){1,7}$/;
const FAILURES: Readonly<Partial<Record<FakeKeyMode, "access-denied" | "key-disabled" | "rate-limited" | "unavailable">>> = {
  denied: "access-denied",
  disabled: "key-disabled",
  throttled: "rate-limited",
  unreachable: "unavailable",
};
const HINTS = {
  "access-denied": "Grant wrap and unwrap on this key to the vendor's identity again.",
  "key-disabled":
    "Enable the version of the key again: it still exists. After a refusal of an external key manager, enable it at the cloud too.",
  "key-not-found": "Recover the key within the window of its soft delete: until then nothing is lost.",
  "rate-limited": "Ask for fewer calls.",
  unavailable: "Try again later.",
} as const;
