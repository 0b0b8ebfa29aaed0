import type { OwnedBytes } from "../../src/core/base/bytes.ts";
import type { Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";

/** What differs between symmetric and RSA keys. */
export interface KeyKind {
  readonly alg: number;
  wrap(dek: Uint8Array, options: WrapOptions): Promise<Pick<Recipient, "keyId" | "wrapped">>;
  /** @param keyId a version of the key */
  unwrap(keyId: string, wrapped: OwnedBytes, options: WrapOptions): Promise<OwnedBytes>;
  current(signal: AbortSignal | undefined): Promise<string>;
}
