import { DATA_KEY, KEK_ID, KEYS, localRecipient, OLD_KEK_ID, OLD_RECIPIENT, OTHER_DATA_KEY, run, TENANT } from "./material.ts";
import { hex, type Vector } from "./vector-file.ts";
import {
  encodeContext,
  join,
  keyRecordParts,
  type Pair,
  standaloneParts,
  type WrittenRecipient,
  wrapAadParts,
  wrapLocal,
} from "./writer.ts";

// docs/format.md §4.1: which recipients are tried, in what order, and how many.

export interface OrderVector {
  readonly record: string;
  readonly keyContext: readonly Pair[];
  /** A key id stands for a KEK of one version, a list for the versions of one KEK. */
  readonly unwrapWith: readonly (string | readonly string[])[];
  readonly dataKey?: string;
  readonly keyCommit?: string;
  readonly recipients?: number;
}

/** KEKs whose key ids Unicode could normalise: composed, and decomposed. */
export const COMPOSED_KEK_ID = "cl\u00e9-k";
export const DECOMPOSED_KEK_ID = "cle\u0301-d";
export const UNICODE_KEKS: Readonly<Record<string, Uint8Array>> = { [COMPOSED_KEK_ID]: run(0x11, 32), [DECOMPOSED_KEK_ID]: run(0x13, 32) };

export function orderVectors(): readonly Vector<OrderVector>[] {
  return [...ofTwoKeks(), ...ofTwoVersions(), ...ofOneKey(), ...counted(), ...named()];
}

const GOOD: WrittenRecipient = localRecipient();
/** Opens, but what comes out breaks the commitment. */
const BAD: WrittenRecipient = localRecipient({ dataKey: OTHER_DATA_KEY });
const OLD_BAD: WrittenRecipient = localRecipient({ kekId: OLD_KEK_ID, dataKey: OTHER_DATA_KEY, nonce: run(0x49, 24) });
const FOREIGN: WrittenRecipient = { provider: "azure-key-vault", keyId: "https://vault.example/keys/k/1", alg: 3, wrapped: run(1, 256) };

function ofTwoKeks(): readonly Vector<OrderVector>[] {
  return [
    opens("configuration before record: four of the second KEK first", [OLD_BAD, OLD_BAD, OLD_BAD, OLD_BAD, GOOD], [KEK_ID, OLD_KEK_ID]),
    refused(
      "four of the KEK that is configured first",
      "M-71",
      "the fifth would open",
      [OLD_BAD, OLD_BAD, OLD_BAD, OLD_BAD, GOOD],
      [OLD_KEK_ID, KEK_ID],
    ),
    opens("five match: the second of the first KEK opens", [BAD, OLD_BAD, OLD_BAD, OLD_BAD, GOOD], [KEK_ID, OLD_KEK_ID]),
    refused(
      "five match: the fifth is of the KEK configured last",
      "M-71",
      "four of the other come before",
      [OLD_RECIPIENT, BAD, BAD, BAD, BAD],
      [KEK_ID, OLD_KEK_ID],
    ),
    opens("five match: the same, configured the other way round", [OLD_RECIPIENT, BAD, BAD, BAD, BAD], [OLD_KEK_ID, KEK_ID]),
    opens(
      "six match, three of each KEK: the fourth in order opens",
      [OLD_BAD, BAD, OLD_RECIPIENT, BAD, OLD_BAD, BAD],
      [OLD_KEK_ID, KEK_ID],
    ),
    opens("a KEK that is configured and not named", [FOREIGN, OLD_RECIPIENT], [KEK_ID, OLD_KEK_ID]),
  ];
}

function ofTwoVersions(): readonly Vector<OrderVector>[] {
  const versions = [[KEK_ID, OLD_KEK_ID]];
  return [
    opens("two versions of one KEK: the order of the record", [OLD_BAD, OLD_BAD, OLD_BAD, GOOD], versions),
    opens("two versions of one KEK: the other order of the record", [BAD, BAD, BAD, OLD_RECIPIENT], versions),
    refused(
      "two versions of one KEK: the fifth in the record",
      "M-71",
      "the order of the versions does not count",
      [OLD_BAD, OLD_BAD, OLD_BAD, OLD_BAD, GOOD],
      versions,
    ),
    refused(
      "two versions of one KEK: the fifth of the other version",
      "M-71",
      "nor does that of the other version",
      [BAD, BAD, BAD, BAD, OLD_RECIPIENT],
      versions,
    ),
  ];
}

function ofOneKey(): readonly Vector<OrderVector>[] {
  return [
    opens("the second of five opens", [BAD, GOOD, BAD, BAD, BAD]),
    opens("an unknown algorithm at the reader's own key id, then a known one", [{ ...GOOD, alg: 11 }, GOOD]),
    opens("a private algorithm at the reader's own key id, then a known one", [{ ...GOOD, alg: 0x80000000 }, GOOD]),
    opens("algorithm 0 at the reader's own key id, then a known one", [{ ...GOOD, alg: 0 }, GOOD]),
    opens("another algorithm of this page at the reader's own key id, then the right one", [
      { ...GOOD, alg: 6, wrapped: run(0, 40) },
      GOOD,
    ]),
    opens("a bad length at the reader's own key id, then a good one", [{ ...GOOD, wrapped: run(0, 71) }, GOOD]),
    opens("the same recipient twice", [GOOD, GOOD]),
  ];
}

function counted(): readonly Vector<OrderVector>[] {
  const unknown: WrittenRecipient = { ...GOOD, alg: 11 };
  const short: WrittenRecipient = { ...GOOD, wrapped: run(0, 71) };
  return [
    refused("four unknown algorithms, the fifth would open", "M-73", "refused without an unwrap, counted all the same", [
      unknown,
      unknown,
      unknown,
      unknown,
      GOOD,
    ]),
    refused("four bad lengths, the fifth would open", "M-73", "refused without an unwrap, counted all the same", [
      short,
      short,
      short,
      short,
      GOOD,
    ]),
    opens("three unknown algorithms, the fourth opens", [unknown, unknown, unknown, GOOD]),
    opens("recipients that do not match are not counted", [FOREIGN, FOREIGN, OLD_RECIPIENT, FOREIGN, FOREIGN, GOOD]),
    opens("they are not counted between those that do", [BAD, FOREIGN, BAD, OLD_BAD, BAD, FOREIGN, GOOD]),
  ];
}

function named(): readonly Vector<OrderVector>[] {
  const composed = ofUnicodeKek(COMPOSED_KEK_ID);
  const decomposed = ofUnicodeKek(DECOMPOSED_KEK_ID);
  const other = (name: string, note: string, keyId: string, configured = COMPOSED_KEK_ID): Vector<OrderVector> => {
    const { record, keyContext } = vectorOf([{ ...composed, keyId }], [configured]);
    return { name, record, keyContext, unwrapWith: [configured], error: "no-matching-provider", breaks: "M-35", note };
  };
  return [
    opens("key id with a composed letter", [composed], [COMPOSED_KEK_ID]),
    opens("key id with a decomposed letter", [decomposed], [DECOMPOSED_KEK_ID]),
    other("key id decomposed, where a composed one is configured", "NFD is another id", "cle\u0301-k"),
    other("key id composed, where a decomposed one is configured", "NFC is another id", "cl\u00e9-d", DECOMPOSED_KEK_ID),
    other("key id with a fullwidth letter", "NFKC is another id", "cl\u00e9-\uff4b"),
    other("key id with the sign of kelvin", "its lower case is k", "cl\u00e9-\u212a"),
    other("key id with a zero width joiner", "nothing is dropped", "cl\u00e9-k\u200d"),
  ];
}

function ofUnicodeKek(keyId: string): WrittenRecipient {
  const aad = join(wrapAadParts("local", keyId, encodeContext(TENANT)));
  return { provider: "local", keyId, alg: 1, wrapped: wrapLocal(UNICODE_KEKS[keyId] ?? run(0, 0), run(0x21, 24), aad, DATA_KEY) };
}

function opens(
  name: string,
  recipients: readonly WrittenRecipient[],
  unwrapWith: OrderVector["unwrapWith"] = [KEK_ID],
): Vector<OrderVector> {
  return {
    name,
    ...vectorOf(recipients, unwrapWith),
    dataKey: hex(DATA_KEY),
    keyCommit: hex(KEYS.keyCommit),
    recipients: recipients.length,
  };
}

function refused(
  name: string,
  breaks: string,
  note: string,
  recipients: readonly WrittenRecipient[],
  unwrapWith: OrderVector["unwrapWith"] = [KEK_ID],
): Vector<OrderVector> {
  return { name, ...vectorOf(recipients, unwrapWith), error: "authentication-failed", breaks, note };
}

function vectorOf(
  recipients: readonly WrittenRecipient[],
  unwrapWith: OrderVector["unwrapWith"],
): Pick<OrderVector, "record" | "keyContext" | "unwrapWith"> {
  const record = hex(join(standaloneParts(keyRecordParts(KEYS.keyCommit, recipients))));
  return { record, keyContext: TENANT, unwrapWith };
}
