// A tour on a real file: `npm run quickstart`, or `npm run quickstart -- <file>`. Imports the built package as an application does.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { styleText } from "node:util";
import { EnvelockError, type InspectedRecipient, inspect, Keyring } from "envelock";
import { readKeysetFile, writeKeysetFile } from "envelock/keyset-file";
import { generateKeysetKey, keysetProviders } from "envelock/providers/local";

const file = process.argv[2] ?? (await largeFile());
const plaintext = await readFile(file).catch(() => undefined);
if (plaintext === undefined) {
  console.error(`cannot read ${shown(file)}: give a file, npm run quickstart -- <file>`);
  process.exitCode = 1;
} else {
  const folder = await mkdtemp(join(tmpdir(), "envelock-quickstart-"));
  try {
    await tour(file, plaintext, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
  console.log(
    `\n${process.exitCode ? "Something is wrong, see above" : "Done"}. The temporary folder is removed. The same at a shell: docs/cli.md`,
  );
}

async function tour(path: string, plaintext: Uint8Array, folder: string): Promise<void> {
  const keysetPath = join(folder, "keys.json");
  const envelopePath = join(folder, "file.envelock");
  const context = { file: basename(path) };
  show([
    ["file", shown(relative(process.cwd(), path))],
    ["size", byteCount(plaintext.length)],
    ["SHA-256", sha256(plaintext)],
  ]);

  heading(1, "Make a keyset", "one AES-256 key, in a file that you alone may read");
  const first = await newKey("quickstart-1");
  await writeKeysetFile(keysetPath, { primary: first.keyId, keys: [first] });
  show([
    ["key id", first.keyId],
    ["mode", `${((await stat(keysetPath)).mode & 0o777).toString(8)}`],
  ]);

  heading(2, "Encrypt", "under a fresh data key, which the keyset's key wraps");
  const keyring = new Keyring({ wrapWith: keysetProviders(await readKeysetFile(keysetPath)) });
  const encrypted = await timed(() => keyring.encrypt(plaintext, { context }));
  const envelope = encrypted.result;
  await writeFile(envelopePath, envelope);
  const growth = envelope.length - plaintext.length;
  show([
    ["context", `file=${shown(context.file)}`],
    ["envelope", `${byteCount(envelope.length)}: ${byteCount(growth)} more, ${percent(growth, plaintext.length)}`],
    ["time", rate(encrypted.ms, plaintext.length)],
  ]);

  heading(3, "Look at it without a key", "what anybody can read; the context is not in it");
  showInspection(envelope);

  heading(4, "Rotate", "a second key version becomes the primary, and the envelope is rewrapped for it");
  const second = await newKey("quickstart-2");
  await writeKeysetFile(keysetPath, { primary: second.keyId, keys: [first, second] }, { overwrite: true });
  const rotated = new Keyring({ wrapWith: keysetProviders(await readKeysetFile(keysetPath)) });
  const wasStale = await rotated.needsRewrap(envelope);
  const rewrapped = await timed(() => rotated.rewrap(envelope));
  const moved = rewrapped.result;
  await writeFile(envelopePath, moved);
  show(recipientRows(moved));
  print("");
  const [bodyBefore, bodyAfter] = [sha256(bodyOf(envelope)), sha256(bodyOf(moved))];
  show([
    ["stale", `before ${wasStale ? "yes" : "no"}, after ${(await rotated.needsRewrap(moved)) ? "yes" : "no"}`],
    ["time", `${rewrapped.ms.toFixed(1)} ms, a copy of the body included`],
    ["body before", bodyBefore],
    ["body after", bodyAfter],
    ["", verdict(bodyBefore === bodyAfter, "equal: not a byte of the body changed")],
  ]);

  heading(5, "Decrypt", "from the file that was rewrapped");
  const stored = await readFile(envelopePath);
  const decrypted = await timed(() => rotated.decrypt(stored, { context }));
  show([
    ["time", rate(decrypted.ms, plaintext.length)],
    ["SHA-256", sha256(decrypted.result)],
    ["", verdict(sha256(decrypted.result) === sha256(plaintext), "equal to that of the file")],
  ]);

  heading(6, "Break it", "each of these must be refused, and give no plaintext");
  const stranger = await newKey("somebody-else");
  const otherKeyring = new Keyring({ wrapWith: keysetProviders({ primary: stranger.keyId, keys: [stranger] }) });
  const otherHeader = (await rotated.encryptDetached(plaintext.subarray(0, 1), { context })).header;
  show([
    ["one bit flipped in the body", await refusal(() => rotated.decrypt(withFlippedBit(stored), { context }))],
    ["another context", await refusal(() => rotated.decrypt(stored, { context: { file: "another" } }))],
    [
      "the header of another envelope",
      await refusal(() => rotated.decryptDetached({ header: otherHeader, body: bodyOf(stored) }, { context })),
    ],
    ["the last byte cut off", await refusal(() => rotated.decrypt(stored.subarray(0, -1), { context }))],
    ["somebody else's keyset", await refusal(() => otherKeyring.decrypt(stored, { context }))],
  ]);
}

async function newKey(keyId: string): ReturnType<typeof generateKeysetKey> {
  return await generateKeysetKey({ type: "aes-256", keyId, created: new Date().toISOString() });
}

/** What anybody can read of an envelope. Nothing of it is verified. */
function showInspection(envelope: Uint8Array): void {
  const found = inspect(envelope);
  if (found.kind !== "envelope") throw new TypeError(`expected an envelope, found a ${found.kind}`);
  show([
    ["data key", found.kid],
    ["header", byteCount(found.headerBytes)],
    ["body", byteCount(found.bodyBytes)],
    ["plaintext", `${byteCount(found.plaintextBytes)}, if the body is whole`],
  ]);
  print("");
  show(recipientRows(envelope));
}

function recipientRows(envelope: Uint8Array): readonly (readonly string[])[] {
  const found = inspect(envelope);
  const recipients: readonly InspectedRecipient[] = "recipients" in found ? found.recipients : [];
  const rows = recipients.map(({ provider, algorithm, alg, wrappedBytes, keyId }, at) => {
    return [`${at + 1}`, shown(provider), algorithm ?? `unknown (${alg})`, byteCount(wrappedBytes), shown(keyId)];
  });
  return [["recipient", "provider", "algorithm", "wrapped", "key id"], ...rows];
}

function bodyOf(envelope: Uint8Array): Uint8Array {
  const found = inspect(envelope);
  return found.kind === "envelope" ? envelope.subarray(found.headerBytes) : envelope;
}

function withFlippedBit(envelope: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(envelope);
  const at = changed.length - Math.ceil(bodyOf(envelope).length / 2);
  changed.set([(changed[at] ?? 0) ^ 1], at);
  return changed;
}

/** The code that a call was refused with. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EnvelockError) return good(`refused: ${error.code}`);
    throw error;
  }
  return bad("NOT REFUSED");
}

function verdict(isTrue: boolean, text: string): string {
  return isTrue ? good(text) : bad(`NOT ${text}`);
}

function bad(text: string): string {
  process.exitCode = 1;
  return styled("red", text);
}

function good(text: string): string {
  return styled("green", text);
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
  const start = performance.now();
  const result = await work();
  return { result, ms: performance.now() - start };
}

/** One cold run in this process: what a person sees, not a benchmark. */
function rate(ms: number, bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(1)} ms, ${Math.round((1000 * mebibytes) / ms)} MiB/s`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "of nothing" : `${((100 * part) / whole).toFixed(2)} %`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function heading(step: number, title: string, about: string): void {
  console.log(`\n${step}  ${styled("bold", title)}: ${styled("dim", about)}`);
}

/** Prints rows with aligned columns. */
function show(rows: readonly (readonly string[])[]): void {
  const most = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: most }, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  print(
    rows
      .map((row) =>
        row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("  ")
          .trimEnd(),
      )
      .join("\n"),
  );
}

function byteCount(bytes: number): string {
  return `${bytes.toLocaleString("en-US")} ${bytes === 1 ? "byte" : "bytes"}`;
}

/** Text from outside, safe to print: anything but letters, digits, punctuation and symbols shows as an escape. */
function shown(text: string): string {
  return text.replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

function print(text: string): void {
  for (const line of text.split("\n")) console.log(line === "" ? "" : `   ${line}`);
}

function styled(style: "bold" | "dim" | "green" | "red", text: string): string {
  const { NO_COLOR } = process.env;
  return process.stdout.isTTY && (NO_COLOR === undefined || NO_COLOR === "") ? styleText(style, text) : text;
}

/** The largest file of some development dependencies: the compiler's or the bundler's binary, whatever this platform calls it. */
async function largeFile(): Promise<string> {
  const root = fileURLToPath(new URL("../node_modules/", import.meta.url));
  let largest = { path: "", bytes: 0 };
  for (const name of ["typescript", "@typescript", "rolldown", "@rolldown"]) {
    const entries = await readdir(join(root, name), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries.filter((found) => found.isFile())) {
      const path = join(entry.parentPath, entry.name);
      const { size } = await stat(path);
      if (size > largest.bytes) largest = { path, bytes: size };
    }
  }
  return largest.path;
}
