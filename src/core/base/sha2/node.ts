import * as crypto from "node:crypto";
import { ownedBytes } from "../bytes.ts";
import type { Sha2 } from "./sha2.ts";

export const sha2: Sha2 = {
  // in one call where the runtime has it: an object for each digest takes several times as long
  sha256: (data, encoding) => crypto.hash?.("sha256", data, encoding) ?? crypto.createHash("sha256").update(data).digest(encoding),
  sha512: (data) => ownedBytes(crypto.createHash("sha512").update(data).digest()),
  hmacSha256: (key, text) => ownedBytes(crypto.createHmac("sha256", key).update(text).digest()),
};
