import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { DataKeyStore } from "envelock/fields";

// Whole builds of the package side by side in one process, at the same jobs.

/** What every build exports that is compared. */
export interface Build {
  readonly DataKey: typeof import("envelock").DataKey;
  readonly Keyring: typeof import("envelock").Keyring;
  readonly DataKeys: typeof import("envelock/fields").DataKeys;
  readonly memoryStore: typeof import("envelock/fields").memoryStore;
  readonly localKey: typeof import("envelock/providers/local").localKey;
}

/** Imports the package that stands in a folder by its own name, so that its own `exports` say where the files are. */
export async function buildIn(folder: string): Promise<Build> {
  const entry = join(folder, `bench-entry-${process.pid}.mjs`);
  writeFileSync(entry, ENTRY);
  try {
    return await import(pathToFileURL(entry).href);
  } finally {
    rmSync(entry);
  }
}

/** The same jobs by one build, under the same keys. */
export interface Work {
  readonly name: string;
  readonly jobs: readonly Job[];
}

export interface Job {
  readonly name: string;
  readonly kind: "token" | "field" | "envelope";
  /** Text for a field, bytes for the others. */
  readonly plaintext: Uint8Array | string;
  seal(): Sealed | Promise<Sealed>;
  open(sealed: Sealed): Sealed | Promise<Sealed>;
}

export type Sealed = Uint8Array | string;

export async function workOf({ DataKey, Keyring, DataKeys, localKey }: Build, store: DataKeyStore, name: string): Promise<Work> {
  const keyring = new Keyring({ wrapWith: [localKey({ keyId: "bench", key: KEY })], context: { tenant: "acme" } });
  const dataKey = DataKey.from(KEY, { tenant: "acme" });
  const field = await new DataKeys({ keyring, store }).field({ table: "users", column: "email" });
  const tokens = [16, 64, 256, 1024].map((bytes): Job => {
    const plaintext = PLAINTEXT.subarray(0, bytes);
    return {
      name: `token ${bytes} B`,
      kind: "token",
      plaintext,
      seal: () => dataKey.encryptToken(plaintext, FIELD),
      open: (token) => dataKey.decryptToken(bytesOf(token), FIELD),
    };
  });
  const text: Job = {
    name: "field 64 B, text to text",
    kind: "field",
    plaintext: TEXT,
    seal: () => field.encrypt(TEXT, ROW),
    open: (token) => field.decrypt(String(token), ROW),
  };
  const envelopes = [256, 4096, 65_536, 1_048_576].map((bytes): Job => {
    const plaintext = PLAINTEXT.subarray(0, bytes);
    return {
      name: `envelope ${bytes} B`,
      kind: "envelope",
      plaintext,
      seal: () => keyring.encrypt(plaintext, OBJECT),
      open: (envelope) => keyring.decrypt(bytesOf(envelope), OBJECT),
    };
  });
  const cached = new Keyring({
    wrapWith: [localKey({ keyId: "bench", key: KEY })],
    context: { tenant: "acme" },
    cache: { maxAgeMs: 3_600_000 },
  });
  const underCache: Job = {
    name: "envelope 256 B, data key in the cache",
    kind: "envelope",
    plaintext: PLAINTEXT.subarray(0, 256),
    seal: () => cached.encrypt(PLAINTEXT.subarray(0, 256), OBJECT),
    open: (envelope) => cached.decrypt(bytesOf(envelope), OBJECT),
  };
  return { name, jobs: [...tokens, text, ...envelopes, underCache] };
}

export function bytesOf(sealed: Sealed): Uint8Array {
  if (typeof sealed === "string") throw new Error("expected bytes");
  return sealed;
}

const ENTRY = `export { DataKey, Keyring } from "envelock";
export { DataKeys, memoryStore } from "envelock/fields";
export { localKey } from "envelock/providers/local";
`;
const KEY: Uint8Array = randomBytes(32);
const PLAINTEXT: Uint8Array = randomBytes(1_048_576);
const TEXT = randomBytes(48).toString("base64");
const FIELD = { table: "users", column: "email", row: "12345" };
const ROW = { row: 12345 };
const OBJECT = { context: { object: "invoices/7.pdf" } };
