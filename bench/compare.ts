import { deepStrictEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { DataKeyStore } from "envelock/fields";
import { type Contest, runContest, tableOf } from "./harness.ts";

/**
 * The package as it is against the package at a commit, both built, in one process: tokens, fields and envelopes. Each first opens what the
 * other made.
 *
 * @param rev a name of the commit that git knows
 */
export async function compareTable(rev: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "envelock-bench-"));
  const before = join(folder, "before");
  try {
    git("worktree", "add", "--quiet", "--detach", before, rev);
    symlinkSync(join(ROOT, "node_modules"), join(before, "node_modules"));
    execFileSync("npm", ["run", "build"], { cwd: before, stdio: ["ignore", "ignore", "inherit"] });
    const [old, present] = [await buildIn(before), await buildIn(ROOT)];
    const store = present.memoryStore(); // one for both, so that they have one data key
    const rows = [];
    for (const contest of contestsOf(await workOf(old, store, rev), await workOf(present, store, "now"))) {
      rows.push(...(await runContest(contest)));
    }
    return tableOf(rows);
  } finally {
    git("worktree", "remove", "--force", before);
    rmSync(folder, { recursive: true });
  }
}

/** What both builds export. */
interface Build {
  readonly DataKey: typeof import("envelock").DataKey;
  readonly Keyring: typeof import("envelock").Keyring;
  readonly DataKeys: typeof import("envelock/fields").DataKeys;
  readonly memoryStore: typeof import("envelock/fields").memoryStore;
  readonly localKey: typeof import("envelock/providers/local").localKey;
}

/** Imports the package that stands in a folder by its own name, so that its own `exports` say where the files are. */
async function buildIn(folder: string): Promise<Build> {
  const entry = join(folder, `bench-entry-${process.pid}.mjs`);
  writeFileSync(entry, ENTRY);
  try {
    return await import(pathToFileURL(entry).href);
  } finally {
    rmSync(entry);
  }
}

/** The same jobs by one build, under the same keys. */
interface Work {
  readonly name: string;
  readonly jobs: readonly Job[];
}

interface Job {
  readonly name: string;
  readonly plaintext: Uint8Array | string;
  seal(): Sealed | Promise<Sealed>;
  open(sealed: Sealed): Sealed | Promise<Sealed>;
}

type Sealed = Uint8Array | string;

async function workOf({ DataKey, Keyring, DataKeys, localKey }: Build, store: DataKeyStore, name: string): Promise<Work> {
  const keyring = new Keyring({ wrapWith: [localKey({ keyId: "bench", key: KEY })], context: { tenant: "acme" } });
  const dataKey = DataKey.from(KEY, { tenant: "acme" });
  const field = await new DataKeys({ keyring, store }).field({ table: "users", column: "email" });
  const tokens = [16, 64, 256, 1024].map((bytes): Job => {
    const plaintext = PLAINTEXT.subarray(0, bytes);
    return {
      name: `token ${bytes} B`,
      plaintext,
      seal: () => dataKey.encryptToken(plaintext, FIELD),
      open: (token) => dataKey.decryptToken(bytesOf(token), FIELD),
    };
  });
  const text: Job = {
    name: "field 64 B, text to text",
    plaintext: TEXT,
    seal: () => field.encrypt(TEXT, ROW),
    open: (token) => field.decrypt(String(token), ROW),
  };
  const envelopes = [256, 4096, 65_536, 1_048_576].map((bytes): Job => {
    const plaintext = PLAINTEXT.subarray(0, bytes);
    return {
      name: `envelope ${bytes} B`,
      plaintext,
      seal: () => keyring.encrypt(plaintext, OBJECT),
      open: (envelope) => keyring.decrypt(bytesOf(envelope), OBJECT),
    };
  });
  return { name, jobs: [...tokens, text, ...envelopes] };
}

function contestsOf(old: Work, present: Work): readonly Contest[] {
  return present.jobs.flatMap((own, place) => {
    const before = old.jobs[place] ?? own;
    let sealed: { readonly own: Sealed; readonly before: Sealed } = { own: "", before: "" };
    const prove = async (): Promise<void> => {
      sealed = { own: await own.seal(), before: await before.seal() };
      deepStrictEqual(Buffer.from(await own.open(sealed.before)), Buffer.from(own.plaintext));
      deepStrictEqual(Buffer.from(await before.open(sealed.own)), Buffer.from(own.plaintext));
    };
    const contest = (what: string, run: (job: Job) => unknown): Contest => ({
      name: `${own.name}, ${what}`,
      prove,
      baseline: { name: old.name, run: () => run(before) },
      contestants: [{ name: present.name, run: () => run(own) }],
    });
    return [contest("encrypt", (job) => job.seal()), contest("decrypt", (job) => job.open(sealed.own))];
  });
}

function bytesOf(sealed: Sealed): Uint8Array {
  if (typeof sealed === "string") throw new Error("expected bytes");
  return sealed;
}

function git(...args: readonly string[]): void {
  execFileSync("git", args, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
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
