import { bytesToHex } from "@noble/hashes/utils.js";
import { DataKey, EnvelockError, inspect, Keyring } from "envelock";
import { localKey } from "envelock/providers/local";
import * as writer from "../format/writer.ts";
import { contextsOf } from "../mutants/context.ts";
import { Refused } from "../mutants/failure.ts";
import { derived } from "../mutants/primitives.ts";
import { type Place, readEnvelope, readKeyRecord } from "../mutants/reader.ts";
import type { Slip } from "../mutants/slips.ts";
import { readToken } from "../mutants/values.ts";
import { type EnvelopeCase, envelopeCase, pairs, text } from "./cases.ts";
import { compositeCase } from "./composites.ts";
import { changed, joined } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";

/**
 * Each takes one random case through the library. Returns what is wrong, or undefined.
 *
 * `slip` is what the second reader gets wrong, which must be noticed: so the fuzzer itself is tested.
 */
export const TARGETS: Readonly<Record<string, (random: Random, slip?: Slip) => Promise<string | undefined>>> = {
  envelopes,
  "key records": keyRecords,
  "keys of several holders": composites,
  tokens,
  contexts,
  streams,
  ranges,
  "what the library writes": written,
};

/** Whole envelopes, changed or not: the library and the second reader must end alike. */
async function envelopes(random: Random, slip?: Slip): Promise<string | undefined> {
  const made = envelopeCase(random);
  const isChanged = random.chance(0.9);
  const parts = [...made.header, ...made.body];
  const envelope = isChanged ? changed(parts, random) : writer.join(parts);
  const found = await endOf(() => keyringOf(made).decrypt(envelope, { context: Object.fromEntries(made.context) }));
  const expected = await endOf(() => readEnvelope(envelope, undefined, placeOf(made), slip));
  inspected(envelope);
  if (found !== expected) return `the library ends in ${short(found)}, the second reader in ${short(expected)}`;
  return wrong(found, made.plaintext, isChanged);
}

async function keyRecords(random: Random, slip?: Slip): Promise<string | undefined> {
  const made = envelopeCase(random);
  const isChanged = random.chance(0.9);
  const parts = writer.standaloneParts(made.record);
  const record = isChanged ? changed(parts, random) : writer.join(parts);
  const kidOf = (dataKey: Uint8Array): Uint8Array => writer.derive(dataKey, writer.encodeContext(made.keyContext)).kid;
  const found = await endOf(async () => (await keyringOf(made).unwrapDataKey(record)).keyCommit.subarray(0, 16));
  const expected = await endOf(() => kidOf(readKeyRecord(record, placeOf(made), slip)));
  inspected(record);
  if (found !== expected) return `the library ends in ${short(found)}, the second reader in ${short(expected)}`;
  return wrong(found, kidOf(made.dataKey), isChanged);
}

/** Recipients of algorithms 11 and 12, whose parts are changed or not. */
async function composites(random: Random, slip?: Slip): Promise<string | undefined> {
  const made = compositeCase(random);
  const found = await endOf(() => made.library());
  const expected = await endOf(() => made.reader(slip));
  if (found !== expected) return `the library ends in ${short(found)}, the second reader in ${short(expected)}`;
  return wrong(found, made.keyCommit, made.isChanged);
}

async function tokens(random: Random, slip?: Slip): Promise<string | undefined> {
  const kind = random.pick(["random", "deterministic"] as const);
  const place = { dataKey: random.bytes(32), keyContext: pairs(random, "k"), context: pairs(random, "v") };
  const keys = writer.derive(place.dataKey, writer.encodeContext(place.keyContext));
  const valueContext = writer.encodeContext([...place.keyContext, ...place.context]);
  const plaintext = random.bytes(random.below(80));
  const parts =
    kind === "random"
      ? writer.tokenParts(keys, random.bytes(24), valueContext, plaintext)
      : writer.deterministicParts(keys, valueContext, plaintext);
  const isChanged = random.chance(0.9);
  const bytes = isChanged ? changed(parts, random) : writer.join(parts);
  const token = random.chance(0.5) ? bytes : changedText(Buffer.from(bytes).toString("base64url"), isChanged, random);
  const dataKey = DataKey.from(place.dataKey, Object.fromEntries(place.keyContext));
  const context = Object.fromEntries(place.context);
  const found = await endOf(() =>
    kind === "random" ? dataKey.decryptToken(token, context) : dataKey.decryptDeterministic(token, context),
  );
  const expected = await endOf(() => readToken(token, kind, place, slip));
  inspected(bytes);
  if (found !== expected) return `the library ends in ${short(found)}, the second reader in ${short(expected)}`;
  return wrong(found, plaintext, isChanged);
}

/** Contexts with every fault that section 2 knows. */
async function contexts(random: Random, slip?: Slip): Promise<string | undefined> {
  const odd = (): string =>
    random.pick([text(random), text(random), "", "\ud800", "a\udc00", "x".repeat(random.pick([100, 8190, 70_000]))]);
  const some = (): readonly writer.Pair[] =>
    Array.from({ length: random.below(random.chance(0.1) ? 70 : 5) }, (_, at) => [`${odd()}${random.pick([`${at}`, ""])}`, odd()]);
  const [keyContext, added] = [Object.fromEntries(some()), Object.fromEntries(some())];
  const found = await endOf(() => DataKey.from(new Uint8Array(32), keyContext).encryptDeterministic(new Uint8Array(1), added));
  const expected = await endOf(() => {
    const { keyCtx, valueCtx } = contextsOf(Object.entries(keyContext), Object.entries(added), slip);
    const kid = derived(new Uint8Array(32), "key-commit", keyCtx, 32).subarray(0, 16);
    const det = derived(new Uint8Array(32), "det", new Uint8Array(0), 64);
    const keys = { keyCommit: kid, kid, token: kid, det, body: kid };
    return writer.join(writer.deterministicParts(keys, valueCtx(), new Uint8Array(1)));
  });
  return found === expected ? undefined : `the library ends in ${short(found)}, the second reader in ${short(expected)}`;
}

/** Envelopes in pieces of any size: what comes out is the beginning of the plaintext, and all of it if the end is clean. */
async function streams(random: Random): Promise<string | undefined> {
  const made = envelopeCase(random);
  const isChanged = random.chance(0.8);
  const parts = [...made.header, ...made.body];
  const envelope = isChanged ? changed(parts, random) : writer.join(parts);
  const pieceBytes = random.pick([1 + random.below(50), 100, 16_400, 50_000]);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < envelope.length; at += pieceBytes) yield envelope.subarray(at, at + pieceBytes);
  }
  const out: Uint8Array[] = [];
  const end = await endOf(async () => {
    for await (const piece of keyringOf(made).decryptPieces(pieces(), { context: Object.fromEntries(made.context) })) out.push(piece);
    return joined(out);
  });
  const given = bytesToHex(joined(out));
  if (!bytesToHex(made.plaintext).startsWith(given)) return "the stream hands out what is no beginning of the plaintext";
  return wrong(end, made.plaintext, isChanged);
}

/** Parts of a body that changed or is shorter than it says. */
async function ranges(random: Random): Promise<string | undefined> {
  const made = envelopeCase(random);
  const isChanged = random.chance(0.6);
  const parts = [...made.header, ...made.body];
  const envelope = isChanged ? changed(parts, random) : writer.join(parts);
  const source = { size: envelope.length, read: async (start: number, end: number) => envelope.subarray(start, end) };
  const from = random.below(made.plaintext.length + 20);
  const to = from + random.below(random.chance(0.5) ? 20 : 40_000);
  const end = await endOf(async () => {
    const blob = await keyringOf(made).openSeekable(source, { context: Object.fromEntries(made.context) });
    const part = await blob.read(from, to);
    blob.close();
    return part;
  });
  return wrong(end, made.plaintext.subarray(from, to), isChanged);
}

/** What the library writes is read by the second reader. */
async function written(random: Random): Promise<string | undefined> {
  const made = envelopeCase(random);
  const options = { context: Object.fromEntries(made.context), minHeaderBytes: random.below(600) };
  const envelope = await keyringOf(made).encrypt(made.plaintext, options);
  return wrong(await endOf(() => readEnvelope(envelope, undefined, placeOf(made))), made.plaintext, false);
}

/** Hex, or the class of a failure of the library or of the second reader. Whatever else is thrown goes on. */
async function endOf(work: () => Uint8Array | Promise<Uint8Array>): Promise<string> {
  try {
    return bytesToHex(await work());
  } catch (error) {
    if (error instanceof Refused) return `!${error.error}`;
    if (!(error instanceof EnvelockError)) throw error;
    return CLASSES.has(error.code) ? `!${error.code}` : `a failure of no class: ${error.code}`;
  }
}

const CLASSES: ReadonlySet<string> = new Set([
  "malformed-envelope",
  "unsupported-version",
  "no-matching-provider",
  "authentication-failed",
  "invalid-argument",
]);

function wrong(end: string, plaintext: Uint8Array, isChanged: boolean): string | undefined {
  if (end === bytesToHex(plaintext) || (isChanged && end.startsWith("!"))) return undefined;
  return isChanged ? `a changed structure gives ${short(end)}` : `an honest structure ends in ${short(end)}`;
}

/** Must give a shape or be refused by class, and never throw anything else. */
function inspected(bytes: Uint8Array): void {
  try {
    inspect(bytes);
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
  }
}

function changedText(token: string, isChanged: boolean, random: Random): string {
  if (!isChanged || random.chance(0.7)) return token;
  const at = random.below(token.length + 1);
  return token.slice(0, at) + random.pick(["=", " ", "+", "A", "\n", "\u00e9", ""]) + token.slice(at + random.below(2));
}

function keyringOf({ keys, keyContext }: EnvelopeCase): Keyring {
  const wrapWith = keys.map((key) => localKey(key));
  return new Keyring({ wrapWith, context: Object.fromEntries(keyContext) });
}

function placeOf({ readerKeks, keyContext, context }: EnvelopeCase): Place {
  return { keks: readerKeks, keyContext, context };
}

function short(end: string): string {
  return end.length > 80 ? `${end.slice(0, 80)}… (${end.length / 2} bytes)` : end;
}
