import fc from "fast-check";
import { expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { s3EncryptionClient } from "../../src/foreign/s3-encryption/index.ts";
import { describeVectors, hex, vectors } from "../support/vectors.ts";
import { bodyOf, goodBlobs, plaintextOf, sha256, storageKeys, vectorEncryption } from "./azure-storage-vectors.ts";

// Blobs of other clients, changed in several places at once: in their metadata, in their body and in what is said of their length.

interface StoredObject {
  readonly metadata: Readonly<Record<string, string>>;
  readonly body: string;
  readonly plaintextSha256: string;
  readonly instructionFile?: { readonly body: string };
}

const S3 = "foreign-formats/amazon-s3-encryption-client";

describeVectors("a changed blob never gives other plaintext, nor an error without a code", () => {
  test("of Azure Storage client-side encryption, by every method", { timeout: 60_000 }, async () => {
    const encryption = vectorEncryption();
    const blobs = goodBlobs().filter(({ protocol, plaintextBytes }) => protocol !== "1.0" && plaintextBytes < 70_000);
    const law = fc.asyncProperty(fc.constantFrom(...blobs), CHANGE, CHANGE, LIE, async (blob, change, other, lie) => {
      const metadata = { encryptiondata: changedText(blob.metadata.encryptiondata, change) };
      const body = changedBody(bodyOf(blob), (blob.regionBytes ?? 0) + 28, other);
      const length = lie === undefined ? {} : { expectedBytes: blob.plaintextBytes + lie };
      const pieces = async function* () {
        for (let at = 0; at < body.length; at += 1777) yield body.subarray(at, at + 1777);
      };
      const read = async (start: number, end: number): Promise<Uint8Array> => body.subarray(start, end);
      for (const reading of [
        async () => await encryption.decrypt({ metadata, body }, length),
        async () => new Uint8Array(await new Response(await encryption.decryptStream({ metadata, body: pieces() }, length)).arrayBuffer()),
        async () => await (await encryption.open({ metadata, size: body.length, read }, length)).read(0, 100_000),
      ]) {
        const found = await bytesOrCode(reading);
        if (typeof found === "string") continue;
        expect(Buffer.compare(found, plaintextOf(found.length))).toBe(0); // what is missing at the end is seen with a length alone
        if (lie !== undefined) expect(found.length).toBe(blob.plaintextBytes + lie);
      }
    });
    await fc.assert(law, { numRuns: 250 });
    encryption.close();
  });

  test("of the Amazon S3 Encryption Client", { timeout: 60_000 }, async () => {
    const { aes } = vectors<{ aes: string }>(`${S3}/keys.json`);
    const reader = s3EncryptionClient({ keys: [{ aesKey: hex(aes) }, { rsaPrivateKey: storageKeys().rsa.pkcs8 }] });
    const objects = vectors<StoredObject[]>(`${S3}/good.json`);
    const law = fc.asyncProperty(
      fc.constantFrom(...objects),
      fc.constantFrom(...objects),
      CHANGE,
      CHANGE,
      async (one, two, change, other) => {
        const all = Object.entries(one.metadata).concat(change.at % 3 === 0 ? Object.entries(two.metadata).slice(0, 1) : []);
        const [name = "x-amz-key", text = ""] = all[change.at % Math.max(1, all.length)] ?? [];
        const metadata = { ...Object.fromEntries(all), [change.kind === "rename" ? name.toUpperCase() : name]: oddText(text, change) };
        const file = one.instructionFile?.body;
        const object = {
          metadata: change.kind === "whole" ? one.metadata : metadata,
          body: changedBody(new Uint8Array(Buffer.from(one.body, "base64")), Number.MAX_SAFE_INTEGER, other),
          instructionFile: file === undefined ? undefined : changedText(file, other),
        };
        const found = await bytesOrCode(() => reader.decrypt(object));
        if (typeof found !== "string") expect(sha256(found)).toBe(one.plaintextSha256);
      },
    );
    await fc.assert(law, { numRuns: 500 });
  });
});

interface Change {
  readonly kind: (typeof KINDS)[number];
  readonly at: number;
  readonly value: unknown;
}

const KINDS = ["whole", "remove", "type", "rename", "move", "twice", "text", "cut", "base64", "number"] as const;
const ODD = [
  "",
  "0",
  "-1",
  "1.0",
  "2.0",
  "2.1",
  "02",
  "115",
  "AAAA",
  "AA=A",
  "-_-_",
  " ",
  "\u0000",
  "__proto__",
  "9".repeat(400),
  "AES/GCM",
];
const VALUES = fc.oneof(fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 2 ** 30, 2 ** 53, [], {}, ...ODD), fc.jsonValue());
const CHANGE: fc.Arbitrary<Change> = fc.record({ kind: fc.constantFrom(...KINDS), at: fc.nat(100_000), value: VALUES });
const LIE = fc.option(fc.constantFrom(0, 1, -1, 16), { nil: undefined });

async function bytesOrCode(read: () => Promise<Uint8Array>): Promise<Uint8Array | string> {
  try {
    return await read();
  } catch (error) {
    if (EnvelockError.is(error)) return error.code;
    throw error;
  }
}

/** Changes one member of a JSON text, wherever it stands, or the text. */
function changedText(text: string, { kind, at, value }: Change): string {
  const whole: Record<string, unknown> = JSON.parse(text);
  const holders = [whole, ...Object.values(whole).filter((member): member is Record<string, unknown> => typeof member === "object")];
  const places = holders.flatMap((holder) => Object.keys(holder ?? {}).map((name) => ({ holder, name })));
  const { holder, name } = places[at % places.length] ?? { holder: whole, name: "" };
  const member = holder[name];
  if (kind === "remove" || kind === "rename") delete holder[name];
  if (kind === "rename") holder[at % 2 === 0 ? name.toLowerCase() : "constructor"] = member;
  if (kind === "type") holder[name] = value;
  if (kind === "move") whole[name] = structuredClone(holder[places[(at * 7) % places.length]?.name ?? ""] ?? member);
  if (kind === "base64" && typeof member === "string") holder[name] = oddText(member, { kind, at, value });
  const changed = JSON.stringify(whole);
  const place = at % (changed.length + 1);
  if (kind === "twice") return changed.replace(`"${name}":`, `"${name}":${JSON.stringify(value)},"${name}":`);
  if (kind === "text") return `${changed.slice(0, place)}${String(value).slice(0, 4)}${changed.slice(place + (at % 3))}`;
  if (kind === "cut") return changed.slice(0, place);
  if (kind === "number") return changed.replace(/:\d+/, `:${["1e309", "-0", "0x10", "016", "16e0", "9".repeat(500), "NaN"][at % 7]}`);
  return changed;
}

function oddText(text: string, { kind, at, value }: Change): string {
  if (kind === "whole" || kind === "rename") return text;
  if (kind === "base64") return [`${text}=`, text.slice(1), text.replace(/=+$/, ""), `${text}\n`, text + text, ` ${text}`][at % 6] ?? "";
  return typeof value === "string" ? value : (ODD[at % ODD.length] ?? "");
}

/** Cuts, lengthens, repeats or reorders the regions of a body, or changes a bit. */
function changedBody(body: Uint8Array, regionBytes: number, { kind, at }: Change): Uint8Array<ArrayBuffer> {
  const regions = Array.from({ length: Math.ceil(body.length / regionBytes) }, (_, index) =>
    body.subarray(index * regionBytes, (index + 1) * regionBytes),
  );
  const one = regions[at % Math.max(1, regions.length)] ?? body;
  if (kind === "remove" || kind === "cut") return new Uint8Array(body.subarray(0, at % (body.length + 1)));
  if (kind === "twice") return new Uint8Array(Buffer.concat([...regions, one]));
  if (kind === "move") return new Uint8Array(Buffer.concat(regions.toReversed()));
  if (kind === "number") return new Uint8Array(Buffer.concat([body, new Uint8Array(at % 50)]));
  const changed = new Uint8Array(body);
  if (kind === "type" && changed.length > 0) changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ (1 << (at % 8));
  return changed;
}
