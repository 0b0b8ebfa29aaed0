import { copyOf, toHex } from "../../src/core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";

/** The key ids of one composite key: its kind and name, and a digest that names the exact versions of the keys in it. */
export class OuterKey {
  /** `kind:name`, what the AAD of each part begins with. */
  readonly name: string;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(kind: string, keyId: string) {
    if (typeof keyId !== "string" || !NAME.test(keyId)) {
      throw invalidArgument("keyId of a composite key has 1 to 128 characters of A-Z, a-z, 0-9, dot, hyphen and underscore");
    }
    this.name = `${kind}:${keyId}`;
  }

  /** Whether a key id is one of this key: a comparison, nothing else. */
  owns(keyId: string): boolean {
    const start = this.name.length + 1;
    return typeof keyId === "string" && keyId.startsWith(`${this.name}:`) && DIGEST.test(keyId.slice(start));
  }

  /** Returns the key id for the keys that `identity` lists. */
  async idOf(identity: Uint8Array): Promise<string> {
    return `${this.name}:${toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", copyOf(identity))))}`;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** @throws `closed` */
  requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this composite key has been closed");
  }
}

/** Refuses what cannot be a key of a composite. @throws `invalid-argument` */
export function requireProvider(value: KeyProvider, what: string): void {
  const given: unknown = value;
  const isObject = typeof given === "object" && given !== null;
  const lacks = METHODS.filter((method) => !isObject || typeof Reflect.get(given, method) !== "function");
  if (lacks.length > 0) throw invalidArgument(`${what} must be a key provider: it lacks ${lacks.join(", ")}`);
}

const NAME = /^[A-Za-z0-9._-]{1,128}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const METHODS: readonly string[] = ["owns", "wrap", "unwrap"];
