import { engine } from "#engine";
import type { HeldCall } from "../../../providers/conformance/index.ts";
import { Xaes256Gcm } from "../../../src/core/crypto/xaes.ts";
import { deferred } from "../../support/deferred.ts";

/** A key with which nobody may decrypt. */
export const ONE_WAY_KEY = "one-way";

/** A key service in memory: named keys with versions, and calls that are counted, fail on order and can be held back. */
export class ToyKeyService {
  calls = 0;
  readonly #keys: Map<string, ToyVersion[]> = new Map();
  #nextStatus: number | undefined;
  #isNextEmpty = false;
  #gate: Gate | undefined;

  addVersion(key: string): void {
    const secret = engine.randomKey(32);
    this.#keys.set(key, [...this.#versions(key), { secret, cipher: new Xaes256Gcm(secret), isExpired: false }]);
  }

  expire(key: string, version: number): void {
    this.#version(key, version).isExpired = true;
  }

  secrets(key: string): readonly Uint8Array[] {
    return this.#versions(key).map(({ secret }) => secret);
  }

  failNext(status: number): void {
    this.#nextStatus = status;
  }

  /** Makes the next answer an empty one, which is no error of the service. */
  emptyNext(): void {
    this.#isNextEmpty = true;
  }

  holdNext(): HeldCall {
    const arrived = deferred();
    const released = deferred();
    this.#gate = { arrive: arrived.resolve, released: released.promise };
    return { arrived: arrived.promise, release: released.resolve };
  }

  async latest(key: string, signal?: AbortSignal): Promise<number | undefined> {
    return await this.#answer(`latest ${key}`, signal, () => this.#versions(key).length);
  }

  async isExpired(key: string, version: number, signal?: AbortSignal): Promise<boolean | undefined> {
    return await this.#answer(`attributes ${key}/${version}`, signal, () => this.#version(key, version).isExpired);
  }

  /** `nonce 24 | ciphertext | tag 16` */
  async encrypt(
    key: string,
    version: number,
    aad: Uint8Array,
    plaintext: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    return await this.#answer(`encrypt ${key}/${version}`, signal, () => {
      const { cipher, isExpired } = this.#version(key, version);
      if (isExpired) throw new ToyFailure(403, `encrypt ${key}/${version}`);
      return sealed(cipher, engine.randomNonce(24), aad, plaintext);
    });
  }

  /** Answers 400 for what this version did not encrypt. */
  async decrypt(
    key: string,
    version: number,
    aad: Uint8Array,
    ciphertext: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    return await this.#answer(`decrypt ${key}/${version}`, signal, () => {
      if (key === ONE_WAY_KEY) throw new ToyFailure(401, `decrypt ${key}/${version}`);
      const { cipher } = this.#version(key, version);
      const plaintext = ciphertext.length < 40 ? undefined : cipher.open(aad, ciphertext);
      if (plaintext === undefined) throw new ToyFailure(400, `decrypt ${key}/${version}`);
      return plaintext;
    });
  }

  async #answer<T>(request: string, signal: AbortSignal | undefined, work: () => T): Promise<T | undefined> {
    signal?.throwIfAborted();
    this.calls++;
    const status = this.#nextStatus;
    const gate = this.#gate;
    const isEmpty = this.#isNextEmpty;
    this.#nextStatus = undefined;
    this.#isNextEmpty = false;
    this.#gate = undefined;
    gate?.arrive();
    await untilAborted(gate?.released, signal);
    if (status !== undefined) throw new ToyFailure(status, request);
    return isEmpty ? undefined : work();
  }

  #versions(key: string): readonly ToyVersion[] {
    return this.#keys.get(key) ?? [];
  }

  #version(key: string, version: number): ToyVersion {
    const found = this.#versions(key)[version - 1];
    if (found === undefined) throw new ToyFailure(404, `${key}/${version}`);
    return found;
  }
}

/** What the service answers when it fails: its own error class, which is no EnvelockError. */
export class ToyFailure extends Error {
  readonly status: number;
  readonly request: string;

  constructor(status: number, request: string) {
    super(`the toy service answered ${status} to ${request}`);
    this.status = status;
    this.request = request;
  }
}

function sealed(cipher: Xaes256Gcm, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(24 + plaintext.length + 16);
  bytes.set(nonce);
  cipher.dangerSealWithNonce(nonce, aad, plaintext, bytes, 24);
  return bytes;
}

interface ToyVersion {
  readonly secret: Uint8Array;
  readonly cipher: Xaes256Gcm;
  isExpired: boolean;
}

interface Gate {
  readonly arrive: () => void;
  readonly released: Promise<void>;
}

async function untilAborted(work: Promise<void> | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (work === undefined || signal === undefined) return await work;
  await new Promise<void>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
