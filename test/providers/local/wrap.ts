import { readFileSync } from "node:fs";
import type { WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { hex } from "../../support/vectors.ts";

/** docs/format.md §3: the wrap AAD for a key context of tenant = acme, written out here by hand. */
export function wrapAad(keyId: string): Uint8Array {
  const id = Buffer.from(keyId);
  return new Uint8Array(
    Buffer.concat([
      Buffer.from("envelock/v1/wrap\0\x01\x05local"),
      Buffer.from([id.length >> 8, id.length & 0xff]),
      id,
      Buffer.from("\0\x01\0\x06tenant\0\x04acme"),
    ]),
  );
}

export const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad };
export const DEK: Uint8Array = new Uint8Array(32).fill(0xdd);

/** Data keys that other implementations wrapped, one for each algorithm of this provider. */
export function foreignWraps(): ForeignWraps {
  return JSON.parse(readFileSync(new URL("./wrapped-keys.json", import.meta.url), "utf8"));
}

export interface ForeignWraps {
  readonly dek: string;
  readonly keyId: string;
  readonly wrapAad: string;
  readonly wrapped: readonly { readonly alg: number; readonly secretKey: string; readonly wrapped: string }[];
}

/** What a test needs of the entry with this algorithm. */
export function foreignWrap(alg: number): { keyId: string; secretKey: Uint8Array; wrapped: Uint8Array; dek: Uint8Array; aad: Uint8Array } {
  const { dek, keyId, wrapAad: aad, wrapped } = foreignWraps();
  const entry = wrapped.find((each) => each.alg === alg);
  if (entry === undefined) throw new Error(`no entry of alg ${alg}`);
  return { keyId, secretKey: hex(entry.secretKey), wrapped: hex(entry.wrapped), dek: hex(dek), aad: hex(aad) };
}
