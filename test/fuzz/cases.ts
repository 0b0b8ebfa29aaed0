import * as writer from "../format/writer.ts";
import type { ReaderKek } from "../mutants/reader.ts";
import type { Random } from "./random.ts";

// Valid structures of every shape, made by the second writer from a seed: the library would take nonces of its own.

export interface EnvelopeCase {
  readonly keys: readonly { readonly keyId: string; readonly key: Uint8Array }[];
  readonly readerKeks: readonly ReaderKek[];
  readonly keyContext: readonly writer.Pair[];
  readonly context: readonly writer.Pair[];
  readonly dataKey: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly record: readonly writer.Part[];
  readonly header: readonly writer.Part[];
  readonly body: readonly writer.Part[];
}

export function envelopeCase(random: Random): EnvelopeCase {
  const keys = Array.from({ length: 1 + random.below(3) }, (_, at) => ({ keyId: `kek-${at}`, key: random.bytes(32) }));
  const keyContext = pairs(random, "k");
  const context = pairs(random, "v");
  const dataKey = random.bytes(32);
  const keyCtx = writer.encodeContext(keyContext);
  const derived = writer.derive(dataKey, keyCtx);
  const plaintext = random.bytes(random.pick(random.chance(0.1) ? LONG : SHORT));
  const recipients = Array.from({ length: random.below(4) }, () => stranger(random, keys));
  const { keyId, key } = random.pick([{ keyId: "kek-0", key: keys[0]?.key ?? random.bytes(32) }, ...keys]);
  const aad = writer.join(writer.wrapAadParts("local", keyId, keyCtx));
  const good = { provider: "local", keyId, alg: 1, wrapped: writer.wrapLocal(key, random.bytes(24), aad, dataKey) };
  const record = writer.keyRecordParts(derived.keyCommit, recipients.toSpliced(random.below(recipients.length + 1), 0, good));
  const recordBytes = writer.join(record).length;
  return {
    keys,
    readerKeks: keys.map((kek) => [{ provider: "local", keyId: kek.keyId, alg: 1, secret: kek.key }]),
    keyContext,
    context,
    dataKey,
    plaintext,
    record,
    header: writer.headerParts(record, recordBytes + (random.chance(0.3) ? random.below(200) : 0)),
    body: writer.bodyParts(derived, random.bytes(24), writer.encodeContext([...keyContext, ...context]), plaintext),
  };
}

/** A recipient that opens nothing: of another service, or of a known key with an algorithm, a length or bytes that do not fit. */
function stranger(random: Random, keys: EnvelopeCase["keys"]): writer.WrittenRecipient {
  const own = keys[random.below(keys.length)]?.keyId ?? "kek-0";
  const keyId = random.pick([own, "kek", `${own} `, "https://vault.example/keys/k/1", "\u00e9\u{1f511}"]);
  return {
    provider: random.pick(["local", "local", "pkcs11", "x-other"]),
    keyId,
    alg: random.pick([1, 0, 2, 11, 0x80000000]),
    wrapped: random.bytes(random.pick([72, 71, 1, 40])),
  };
}

/** Pairs that a context may have. Keys of one prefix never meet those of another. */
export function pairs(random: Random, prefix: string): readonly writer.Pair[] {
  return Array.from({ length: random.below(4) }, (_, at) => [`${prefix}${at}${text(random)}`, text(random)]);
}

export function text(random: Random): string {
  return Array.from({ length: random.below(4) }, () =>
    random.pick(["a", "", "\u00e9", "e\u0301", "\uff5e", "\u{1f600}", "\u0000", "__proto__", "\ufeff"]),
  ).join("");
}

const SHORT: readonly [number, ...number[]] = [0, 1, 15, 16, 17, 100];
const LONG: readonly [number, ...number[]] = [16383, 16384, 16385, 32768, 32900];
