import type { OwnedBytes } from "../bytes.ts";

/**
 * SHA-2 for requests to services, at once: WebCrypto hands each digest to another thread, which takes longer than all of a signature. Text
 * counts as UTF-8.
 */
export interface Sha2 {
  sha256(data: string | Uint8Array, encoding: "hex" | "base64"): string;
  sha512(data: Uint8Array): OwnedBytes;
  hmacSha256(key: Uint8Array, text: string): OwnedBytes;
}
