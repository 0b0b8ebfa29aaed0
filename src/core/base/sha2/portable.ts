import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { toBase64 } from "../base64.ts";
import { ownedBytes, toHex, utf8 } from "../bytes.ts";
import type { Sha2 } from "./sha2.ts";

export const sha2: Sha2 = {
  sha256(data, encoding) {
    const digest = sha256(typeof data === "string" ? utf8(data) : data);
    return encoding === "hex" ? toHex(digest) : toBase64(digest);
  },
  sha512: (data) => ownedBytes(sha512(data)),
  hmacSha256: (key, text) => ownedBytes(hmac(sha256, key, utf8(text))),
};
