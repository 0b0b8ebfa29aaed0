import type { Pkcs11TokenOptions } from "../../../providers/pkcs11/index.ts";
import type { WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { noise } from "../../support/arbitraries.ts";
import type { TestToken } from "./tokens.ts";

/** What a user would write to reach a token of these tests. */
export function locationOf({ module, label, pin, libraryParameters }: TestToken): Pkcs11TokenOptions {
  return { module, token: { label }, pin: () => pin, ...(libraryParameters !== undefined && { libraryParameters }) };
}

export const DEK: Uint8Array<ArrayBuffer> = noise(32, "data key");

/** An AAD that depends on the key id, as the core's does. */
export const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: (keyId) => Buffer.from(`for ${keyId}`) };

/** A file of what `npm run build` made. */
export function built(path: string): string {
  return new URL(`../../../dist/${path}`, import.meta.url).href;
}
