import { rejects, strictEqual } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Keyring } from "envelock";
import { DataKeys, memoryStore } from "envelock/fields";
import { localKey } from "envelock/providers/local";
import { type FieldContestant, fieldContestants, idiomaticField } from "./field-contestants.ts";
import type { Contest } from "./harness.ts";

/** Fields of a database, text to text, against what else would be used: a contest for each size and direction. */
export async function fieldContests(): Promise<readonly Contest[]> {
  const baseline = idiomaticField();
  const contestants = await fieldContestants();
  const sized = await Promise.all(SIZES.map((bytes) => contestsOf(bytes, baseline, contestants)));
  return [...sized.flat(), ...(await recordContests())];
}

async function contestsOf(bytes: number, baseline: FieldContestant, contestants: readonly FieldContestant[]): Promise<readonly Contest[]> {
  const text = textOf(bytes);
  const prove = async (): Promise<void> => {
    for (const contestant of [baseline, ...contestants]) await proveOne(contestant, text);
  };
  const encrypting = ({ name, encrypt }: FieldContestant) => ({ name, run: () => encrypt(text) });
  const decrypting = async ({ name, encrypt, decrypt }: FieldContestant) => {
    const sealed = await encrypt(text);
    return { name, run: () => decrypt(sealed) };
  };
  return [
    { name: `field, encrypt ${bytes} B`, prove, baseline: encrypting(baseline), contestants: contestants.map(encrypting) },
    {
      name: `field, decrypt ${bytes} B`,
      prove,
      baseline: await decrypting(baseline),
      contestants: await Promise.all(contestants.map(decrypting)),
    },
  ];
}

/** Ten columns of a row as ten tokens, and as one. */
async function recordContests(): Promise<readonly Contest[]> {
  const keyring = new Keyring({ wrapWith: [localKey({ keyId: "bench", key: randomBytes(32) })] });
  const dataKeys = new DataKeys({ keyring, store: memoryStore() });
  const names = Array.from({ length: 10 }, (_, at) => `column${at}`);
  const columns = await Promise.all(names.map((column) => dataKeys.field({ table: "users", column })));
  const record = (await dataKeys.field({ table: "users", column: "record" })).record(names);
  const row = { row: 12345 };
  const text = textOf(64);
  const values = Object.fromEntries(names.map((name) => [name, text]));
  const tokens = columns.map((cipher) => cipher.encrypt(text, row));
  const sealed = record.encrypt(values, row);
  const prove = (): void => {
    for (const name of names) strictEqual(record.decrypt(sealed, row)[name], text);
    for (const [at, cipher] of columns.entries()) strictEqual(cipher.decrypt(tokens[at] ?? "", row), text);
  };
  return [
    {
      name: "ten columns of 64 B, encrypt",
      prove,
      baseline: { name: "envelock, ten tokens", run: () => columns.map((cipher) => cipher.encrypt(text, row)) },
      contestants: [{ name: "envelock, one record", run: () => record.encrypt(values, row) }],
    },
    {
      name: "ten columns of 64 B, decrypt",
      prove,
      baseline: { name: "envelock, ten tokens", run: () => columns.map((cipher, at) => cipher.decrypt(tokens[at] ?? "", row)) },
      contestants: [{ name: "envelock, one record", run: () => record.decrypt(sealed, row) }],
    },
  ];
}

/** How many characters each contestant's column takes beyond those of the text; as a Markdown table. */
export async function overheadTable(): Promise<string> {
  const contestants = [idiomaticField(), ...(await fieldContestants())];
  const rows = contestants.map(async ({ name, encrypt }) => {
    const added = await Promise.all(SIZES.map(async (bytes) => (await encrypt(textOf(bytes))).length - bytes));
    return `| ${name} | ${added.join(" | ")} |`;
  });
  const head = `| characters added to | ${SIZES.map((bytes) => `${bytes} B`).join(" | ")} |\n| --- |${" ---: |".repeat(SIZES.length)}`;
  return [head, ...(await Promise.all(rows))].join("\n");
}

/** It takes back what it made, makes another each time, and refuses it with a character changed. */
async function proveOne({ name, encrypt, decrypt }: FieldContestant, text: string): Promise<void> {
  const sealed = await encrypt(text);
  strictEqual(await decrypt(sealed), text, name);
  strictEqual(sealed === (await encrypt(text)), false, name);
  const at = sealed.length - 6; // in the tag of each of them, and not in padding
  const changed = `${sealed.slice(0, at)}${sealed[at] === "A" ? "B" : "A"}${sealed.slice(at + 1)}`;
  await rejects(async () => decrypt(changed), /./, name);
}

function textOf(bytes: number): string {
  return randomBytes(bytes).toString("base64url").slice(0, bytes);
}

const SIZES: readonly number[] = [16, 64, 256, 1024];
