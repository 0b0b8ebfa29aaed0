import { strictEqual, throws } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { DataKey } from "envelock";
import type { Contest } from "./harness.ts";
import { idiomaticOpen, idiomaticSeal } from "./idiomatic.ts";

/** Field tokens against hand-written AES-256-GCM with the same AAD, sync, the key in hand. */
export function fieldTokenContests(): readonly Contest[] {
  return [16, 64, 256, 1024].flatMap((bytes) => {
    const plaintext = randomBytes(bytes);
    const key = randomBytes(32);
    const dataKey = DataKey.generate({ tenant: "acme" });
    const aad = Buffer.from("tenant=acme;table=users;column=email;row=12345");
    const token = dataKey.encryptToken(plaintext, CONTEXT);
    const sealed = idiomaticSeal(key, aad, plaintext);
    const prove = (): void => {
      strictEqual(plaintext.compare(dataKey.decryptToken(dataKey.encryptToken(plaintext, CONTEXT), CONTEXT)), 0);
      strictEqual(plaintext.compare(idiomaticOpen(key, aad, idiomaticSeal(key, aad, plaintext))), 0);
      throws(() => dataKey.decryptToken(flipped(token), CONTEXT));
      throws(() => idiomaticOpen(key, aad, flipped(sealed)));
    };
    return [
      {
        name: `token, encrypt ${bytes} B`,
        prove,
        baseline: { name: "node:crypto (idiomatic)", run: () => idiomaticSeal(key, aad, plaintext) },
        contestants: [{ name: "envelock token", run: () => dataKey.encryptToken(plaintext, CONTEXT) }],
      },
      {
        name: `token, decrypt ${bytes} B`,
        prove,
        baseline: { name: "node:crypto (idiomatic)", run: () => idiomaticOpen(key, aad, sealed) },
        contestants: [{ name: "envelock token", run: () => dataKey.decryptToken(token, CONTEXT) }],
      },
    ];
  });
}

export function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1;
  return copy;
}

const CONTEXT = { table: "users", column: "email", row: "12345" };
