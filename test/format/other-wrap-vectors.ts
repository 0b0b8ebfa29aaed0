import { gcm } from "@noble/ciphers/aes.js";
import { DATA_KEY, flip, OTHER_TENANT, run, TENANT } from "./material.ts";
import { aesKwpWrap, aesKwWrap, KW_INITIAL_VALUE, type OaepOptions, oaepWrap } from "./other-wrap-writer.ts";
import { OTHER_RSA_KEY, RSA_KEY, type RsaKey } from "./rsa-keys.ts";
import { hex, type Vector, type VectorFile } from "./vector-file.ts";
import { encodeContext, join, type Pair, wrapAadParts } from "./writer.ts";

/** Algorithms 2, 3, 6, 7 and 8 of docs/format.md §3.1 */
export interface OtherWrapVector {
  readonly alg: number;
  readonly keyId: string;
  readonly keyContext: readonly Pair[];
  readonly dataKey: string;
  readonly wrapped: string;
}

export interface SharedOtherKeks {
  readonly provider: string;
  /** By key id: the one algorithm of each, and its key. */
  readonly keks: Readonly<Record<string, { readonly alg: number; readonly aes?: string; readonly rsa?: RsaKey }>>;
}

export function otherWrapVectors(): VectorFile<OtherWrapVector, SharedOtherKeks> {
  return {
    about: "docs/format.md §3.1: wraps of algorithms 2, 3, 6, 7 and 8, under KEKs of provider example, each bound to one algorithm.",
    shared: { provider: PROVIDER, keks: { ...AES_KEKS, ...RSA_KEKS } },
    vectors: [...gcmWraps(), ...rsaWraps(3, "oaep-256"), ...keyWraps(), ...paddedKeyWraps(), ...rsaWraps(8, "oaep-sha1"), ...misplaced()],
  };
}

const PROVIDER = "example";
const SIZES: readonly (readonly [name: string, bytes: number])[] = [
  ["128", 16],
  ["192", 24],
  ["256", 32],
];
const AES_KEKS: SharedOtherKeks["keks"] = Object.fromEntries(
  SIZES.flatMap(([size, bytes], at) => [
    [`gcm-${size}`, { alg: 2, aes: hex(run(0x21 + at, bytes)) }],
    [`kw-${size}`, { alg: 6, aes: hex(run(0x61 + at, bytes)) }],
    [`kwp-${size}`, { alg: 7, aes: hex(run(0xa1 + at, bytes)) }],
  ]),
);
const RSA_KEKS: SharedOtherKeks["keks"] = { "oaep-256": { alg: 3, rsa: RSA_KEY }, "oaep-sha1": { alg: 8, rsa: OTHER_RSA_KEY } };
const NONCE: Uint8Array = run(0x31, 12);

function aesOf(keyId: string): Uint8Array {
  return Uint8Array.from(Buffer.from(AES_KEKS[keyId]?.aes ?? "", "hex"));
}

function wrapAad(keyId: string, keyContext: readonly Pair[] = TENANT, provider = PROVIDER): Uint8Array {
  return join(wrapAadParts(provider, keyId, encodeContext(keyContext)));
}

function opens(
  alg: number,
  keyId: string,
  name: string,
  wrapped: Uint8Array,
  keyContext: readonly Pair[] = TENANT,
): Vector<OtherWrapVector> {
  return { name: `${keyId}: ${name}`, alg, keyId, keyContext, dataKey: hex(DATA_KEY), wrapped: hex(wrapped) };
}

/** `dataKey` is what an unwrap gives that takes no look at its length: the commitment must not be what finds it out. */
type Refusing = (name: string, breaks: string, note: string, wrapped: Uint8Array, dataKey?: Uint8Array) => Vector<OtherWrapVector>;

function refusing(alg: number, keyId: string): Refusing {
  return (name, breaks, note, wrapped, dataKey = DATA_KEY) => {
    return { ...opens(alg, keyId, name, wrapped), dataKey: hex(dataKey), error: "authentication-failed", breaks, note };
  };
}

function gcmWraps(): readonly Vector<OtherWrapVector>[] {
  const wrap = (keyId: string, aad: Uint8Array, dataKey: Uint8Array = DATA_KEY): Uint8Array =>
    Uint8Array.of(...NONCE, ...gcm(aesOf(keyId), NONCE, aad).encrypt(dataKey));
  const keyId = "gcm-256";
  const wrapped = wrap(keyId, wrapAad(keyId));
  const refused = refusing(2, keyId);
  return [
    ...SIZES.map(([size]) => opens(2, `gcm-${size}`, "example", wrap(`gcm-${size}`, wrapAad(`gcm-${size}`)))),
    opens(2, keyId, "no key context", wrap(keyId, wrapAad(keyId, [])), []),
    refused("nonce flipped", "M-24", "first byte", flip(wrapped, 0)),
    refused("tag flipped", "M-65", "last byte", flip(wrapped, 59)),
    refused("tag of 12 bytes", "M-65", "cut short", wrapped.subarray(0, 56)),
    refused("a byte short", "M-23", "59 bytes", wrapped.subarray(0, 59)),
    refused("a byte long", "M-23", "61 bytes", Uint8Array.of(...wrapped, 0)),
    refused("data key of 16 bytes", "M-23", "44 bytes", wrap(keyId, wrapAad(keyId), run(0, 16)), run(0, 16)),
    refused("AAD of another key context", "M-24", "the other tenant", wrap(keyId, wrapAad(keyId, OTHER_TENANT))),
    refused("AAD of another key id", "M-24", "another version", wrap(keyId, wrapAad("gcm-128"))),
    refused("AAD of another provider", "M-24", "another name", wrap(keyId, wrapAad(keyId, TENANT, "local"))),
    refused("empty AAD", "M-24", "the wrap AAD is left out", wrap(keyId, run(0, 0))),
  ];
}

function rsaWraps(alg: 3 | 8, keyId: string): readonly Vector<OtherWrapVector>[] {
  const rsa = alg === 3 ? RSA_KEY : OTHER_RSA_KEY;
  const own: OaepOptions = alg === 3 ? { hash: "sha256", mask: "sha256" } : { hash: "sha1", mask: "sha1" };
  const wrap = (more: Partial<OaepOptions> = {}, dataKey: Uint8Array = DATA_KEY): Uint8Array => oaepWrap(rsa, { ...own, ...more }, dataKey);
  const wrapped = wrap();
  const refused = refusing(alg, keyId);
  const others =
    alg === 3 ? [["sha1", "sha1"] as const, ["sha256", "sha1"] as const] : [["sha256", "sha256"] as const, ["sha1", "sha256"] as const];
  return [
    opens(alg, keyId, "example", wrapped),
    opens(alg, keyId, "another seed", wrap({ seed: 7 })),
    opens(alg, keyId, "no key context", wrapped, []),
    ...others.map(([hash, mask]) => refused(`${hash} with MGF1 of ${mask}`, "M-23", "not this algorithm", wrap({ hash, mask }))),
    refused("a label", "M-23", "the label is empty", wrap({ label: run(1, 8) })),
    refused("flipped", "M-23", "last byte", flip(wrapped, 255)),
    refused("a byte short", "M-23", "shorter than the modulus", wrapped.subarray(1)),
    refused("a zero byte before it", "M-23", "longer than the modulus", Uint8Array.of(0, ...wrapped)),
    ...[0, 16, 31, 33, 64].map((bytes) =>
      refused(`data key of ${bytes} bytes`, "M-25", "the length of wrapped does not tell", wrap({}, run(0, bytes)), run(0, bytes)),
    ),
  ];
}

function keyWraps(): readonly Vector<OtherWrapVector>[] {
  const keyId = "kw-256";
  const wrapped = aesKwWrap(aesOf(keyId), KW_INITIAL_VALUE, DATA_KEY);
  const refused = refusing(6, keyId);
  return [
    ...SIZES.map(([size]) => opens(6, `kw-${size}`, "example", aesKwWrap(aesOf(`kw-${size}`), KW_INITIAL_VALUE, DATA_KEY))),
    refused("another initial value", "M-23", "A7 eight times", aesKwWrap(aesOf(keyId), new Uint8Array(8).fill(0xa7), DATA_KEY)),
    refused("first byte flipped", "M-23", "the integrity check", flip(wrapped, 0)),
    refused("last byte flipped", "M-23", "the integrity check", flip(wrapped, 39)),
    refused("data key of 24 bytes", "M-23", "32 bytes", aesKwWrap(aesOf(keyId), KW_INITIAL_VALUE, run(0, 24)), run(0, 24)),
    refused("data key of 40 bytes", "M-23", "48 bytes", aesKwWrap(aesOf(keyId), KW_INITIAL_VALUE, run(0, 40)), run(0, 40)),
    refused("no byte but one", "M-23", "shorter than any", run(0, 1)),
  ];
}

function paddedKeyWraps(): readonly Vector<OtherWrapVector>[] {
  const keyId = "kwp-256";
  const kek = aesOf(keyId);
  const wrapped = aesKwpWrap(kek, DATA_KEY);
  const refused = refusing(7, keyId);
  return [
    ...SIZES.map(([size]) => opens(7, `kwp-${size}`, "example", aesKwpWrap(aesOf(`kwp-${size}`), DATA_KEY))),
    refused("data key of 31 bytes", "M-25", "40 bytes all the same", aesKwpWrap(kek, run(0, 31)), run(0, 31)),
    refused("data key of 25 bytes", "M-25", "40 bytes all the same", aesKwpWrap(kek, run(0, 25)), run(0, 25)),
    refused("data key of 33 bytes", "M-23", "48 bytes", aesKwpWrap(kek, run(0, 33)), run(0, 33)),
    refused("flipped", "M-23", "first byte", flip(wrapped, 0)),
  ];
}

/** One key version, one algorithm. */
function misplaced(): readonly Vector<OtherWrapVector>[] {
  const kw = aesKwWrap(aesOf("kwp-256"), KW_INITIAL_VALUE, DATA_KEY);
  const kwp = aesKwpWrap(aesOf("kw-256"), DATA_KEY);
  const sealed = Uint8Array.of(...NONCE, ...gcm(aesOf("kw-256"), NONCE, wrapAad("kw-256")).encrypt(DATA_KEY));
  const sha1 = oaepWrap(RSA_KEY, { hash: "sha1", mask: "sha1" }, DATA_KEY);
  return [
    refusing(6, "kwp-256")("algorithm 6", "M-72", "the key version is bound to algorithm 7", kw),
    refusing(7, "kw-256")("algorithm 7", "M-72", "the key version is bound to algorithm 6", kwp),
    refusing(2, "kw-256")("algorithm 2", "M-72", "the key version is bound to algorithm 6", sealed),
    refusing(8, "oaep-256")("algorithm 8", "M-72", "the key version is bound to algorithm 3", sha1),
    refusing(7, "kwp-256")("bytes of algorithm 6", "M-23", "the initial value is another", kw),
  ];
}
