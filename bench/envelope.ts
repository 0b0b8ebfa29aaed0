import { rejects, strictEqual, throws } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Keyring } from "envelock";
import { localKey } from "envelock/providers/local";
import { flipped } from "./field-token.ts";
import type { Contest } from "./harness.ts";
import { idiomaticOpen, idiomaticSeal } from "./idiomatic.ts";

/** Envelopes under a fresh data key and a local KEK, against two GCMs by hand: one wraps the data key, one seals the data. */
export function envelopeContests(): readonly Contest[] {
  return [256, 4096, 65_536, 1_048_576].flatMap((bytes) => {
    const plaintext = randomBytes(bytes);
    const kek = randomBytes(32);
    const aad = Buffer.from("tenant=acme;object=invoices/7.pdf");
    const keyring = new Keyring({ wrapWith: [localKey({ keyId: "bench-2026-11", key: kek })], context: { tenant: "acme" } });
    const seal = (): Buffer => {
      const dataKey = randomBytes(32);
      return Buffer.concat([idiomaticSeal(kek, aad, dataKey), idiomaticSeal(dataKey, aad, plaintext)]);
    };
    const open = (sealed: Uint8Array): Buffer => idiomaticOpen(idiomaticOpen(kek, aad, sealed.subarray(0, 60)), aad, sealed.subarray(60));
    const sealed = seal();
    let envelope: Uint8Array = new Uint8Array(0);
    const prove = async (): Promise<void> => {
      envelope = await keyring.encrypt(plaintext, CONTEXT);
      strictEqual(plaintext.compare(await keyring.decrypt(envelope, CONTEXT)), 0);
      strictEqual(plaintext.compare(open(seal())), 0);
      await rejects(keyring.decrypt(flipped(envelope), CONTEXT));
      throws(() => open(flipped(sealed)));
    };
    return [
      {
        name: `envelope, encrypt ${bytes} B`,
        prove,
        baseline: { name: "node:crypto (idiomatic)", run: seal },
        contestants: [{ name: "envelock envelope", run: () => keyring.encrypt(plaintext, CONTEXT) }],
      },
      {
        name: `envelope, decrypt ${bytes} B`,
        prove,
        baseline: { name: "node:crypto (idiomatic)", run: () => open(sealed) },
        contestants: [{ name: "envelock envelope", run: () => keyring.decrypt(envelope, CONTEXT) }],
      },
    ];
  });
}

const CONTEXT = { context: { object: "invoices/7.pdf" } };
