import { KEK_ID, kekOf, OTHER_TENANT, run, TENANT, WRAP_NONCE } from "./material.ts";
import { hex, type Vector, type VectorFile } from "./vector-file.ts";
import { derive, encodeContext, join, type Pair, wrapAadParts, wrapLocal, xaesKey } from "./writer.ts";

/** docs/format.md §1 */
export interface DerivationVector {
  readonly dataKey: string;
  readonly keyContext: readonly Pair[];
  readonly keyCommit: string;
  readonly kid: string;
  readonly tokenKey: string;
  readonly detKey: string;
  readonly bodyKey: string;
}

/** docs/format.md §3.1 */
export interface WrapAadVector {
  readonly provider: string;
  readonly keyId: string;
  readonly keyContext: readonly Pair[];
  readonly wrapAad: string;
}

/** Algorithm 1 of docs/format.md §3.1 */
export interface LocalWrapVector extends WrapAadVector {
  readonly kek: string;
  readonly nonce: string;
  readonly dataKey: string;
  /** `KX` of docs/format.md §10.3. */
  readonly gcmKey: string;
  readonly wrapped: string;
}

export function derivationVectors(): VectorFile<DerivationVector> {
  return {
    about: "docs/format.md §1: what is derived from a data key in a key context.",
    shared: {},
    vectors: DERIVATIONS.map(([name, dataKey, keyContext]) => {
      const keys = derive(dataKey, encodeContext(keyContext));
      return {
        name,
        dataKey: hex(dataKey),
        keyContext,
        keyCommit: hex(keys.keyCommit),
        kid: hex(keys.kid),
        tokenKey: hex(keys.token),
        detKey: hex(keys.det),
        bodyKey: hex(keys.body),
      };
    }),
  };
}

export function wrapAadVectors(): VectorFile<WrapAadVector> {
  return {
    about: "docs/format.md §3.1: the wrap AAD of a recipient in a key context.",
    shared: {},
    vectors: WRAP_AADS.map(([name, provider, keyId, keyContext]) => ({
      name,
      provider,
      keyId,
      keyContext,
      wrapAad: hex(join(wrapAadParts(provider, keyId, encodeContext(keyContext)))),
    })),
  };
}

export function localWrapVectors(): VectorFile<LocalWrapVector> {
  return {
    about: "docs/format.md §3.1, algorithm 1: XAES-256-GCM under a local key. Broken wraps stand in key-records.json.",
    shared: {},
    vectors: LOCAL_WRAPS.map(localWrap),
  };
}

function localWrap([name, kek, keyId, keyContext, nonce, dataKey]: LocalWrapCase): Vector<LocalWrapVector> {
  const wrapAad = join(wrapAadParts("local", keyId, encodeContext(keyContext)));
  return {
    name,
    kek: hex(kek),
    provider: "local",
    keyId,
    keyContext,
    nonce: hex(nonce),
    dataKey: hex(dataKey),
    wrapAad: hex(wrapAad),
    gcmKey: hex(xaesKey(kek, nonce)),
    wrapped: hex(wrapLocal(kek, nonce, wrapAad, dataKey)),
  };
}

type LocalWrapCase = readonly [
  name: string,
  kek: Uint8Array,
  keyId: string,
  keyContext: readonly Pair[],
  nonce: Uint8Array,
  dataKey: Uint8Array,
];

const PURPOSE: readonly Pair[] = [...TENANT, ["purpose", "documents"]];
const FOREIGN_TEXT: readonly Pair[] = [["mandant", "M\u00fcller \u{1f511}"]];
const ZEROS: Uint8Array = new Uint8Array(32);
const ONES: Uint8Array = new Uint8Array(32).fill(0xff);

const DERIVATIONS: readonly (readonly [string, Uint8Array, readonly Pair[]])[] = [
  ["example", run(0, 32), TENANT],
  ["no key context", run(0, 32), []],
  ["another tenant", run(0, 32), OTHER_TENANT],
  ["two pairs", run(0, 32), PURPOSE],
  ["text beyond ASCII", run(0, 32), FOREIGN_TEXT],
  ["another data key", run(0xc0, 32), TENANT],
  ["data key of zeros", ZEROS, []],
  ["data key of ones", ONES, []],
];

const WRAP_AADS: readonly (readonly [string, string, string, readonly Pair[]])[] = [
  ["example", "local", KEK_ID, TENANT],
  ["no key context", "local", KEK_ID, []],
  ["a key version of a service", "azure-key-vault", "https://vault.example/keys/orders/0123456789abcdef0123456789abcdef", PURPOSE],
  ["longest provider, longest key id", "p".repeat(32), "k".repeat(512), TENANT],
  ["shortest provider, shortest key id", "p", "k", []],
  ["key id beyond ASCII", "local", "schl\u00fcssel-\u{1f511}", FOREIGN_TEXT],
];

const LOCAL_WRAPS: readonly LocalWrapCase[] = [
  ["example", kekOf(KEK_ID), KEK_ID, TENANT, WRAP_NONCE, run(0, 32)],
  ["no key context", kekOf(KEK_ID), KEK_ID, [], WRAP_NONCE, run(0, 32)],
  ["another nonce", kekOf(KEK_ID), KEK_ID, TENANT, run(0xe0, 24), run(0, 32)],
  ["another data key", kekOf(KEK_ID), KEK_ID, TENANT, run(0xe1, 24), ONES],
  // L of the first begins with a set bit and that of the other with a clear one: both branches of the doubling
  ["a KEK of zeros", ZEROS, "zeros", TENANT, WRAP_NONCE, ZEROS],
  ["a KEK of ones", ONES, "ones", TENANT, WRAP_NONCE, ZEROS],
  ["text beyond ASCII", kekOf(KEK_ID), "schl\u00fcssel-\u{1f511}", FOREIGN_TEXT, new Uint8Array(24), run(0xc0, 32)],
];
