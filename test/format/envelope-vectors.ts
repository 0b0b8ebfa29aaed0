import { brokenEnvelopes } from "./broken-envelope-vectors.ts";
import { SHARED_KEKS, type SharedKeks } from "./key-record-vectors.ts";
import {
  DATA_KEY,
  EXAMPLE_BODY,
  EXAMPLE_ENVELOPE,
  EXAMPLE_HEADER,
  EXAMPLE_RECORD,
  INVOICE,
  KEK_ID,
  KEYS,
  localRecipient,
  OBJECT,
  OBJECT_CONTEXT,
  OLD_KEK_ID,
  OLD_RECIPIENT,
  run,
  SALT,
  TENANT,
} from "./material.ts";
import { hex, type Vector, type VectorBytes, type VectorFile, withShortZeros } from "./vector-file.ts";
import {
  bodyParts,
  derive,
  encodeContext,
  headerParts,
  join,
  keyRecordParts,
  type Pair,
  type Part,
  type WrittenRecipient,
} from "./writer.ts";

/** docs/format.md §4: a whole envelope, or a header and a body apart */
export interface EnvelopeVector {
  readonly envelope?: VectorBytes;
  readonly header?: VectorBytes;
  readonly body?: VectorBytes;
  readonly keyContext: readonly Pair[];
  /** What the value adds. */
  readonly context: readonly Pair[];
  /** The KEKs that are configured, by their names in `shared`. */
  readonly unwrapWith: readonly string[];
  readonly plaintext?: string;
  readonly headerBytes?: number;
  readonly paddingBytes?: number;
  readonly recipients?: number;
}

export function envelopeVectors(): VectorFile<EnvelopeVector, SharedKeks> {
  return {
    about: "docs/format.md §4: envelopes with short bodies, whole and detached. Long bodies stand in bodies.json.",
    shared: SHARED_KEKS,
    vectors: [...good(), ...brokenEnvelopes()],
  };
}

function good(): readonly Vector<EnvelopeVector>[] {
  const both = keyRecordParts(KEYS.keyCommit, [localRecipient(), OLD_RECIPIENT]);
  const foreign: WrittenRecipient = { provider: "azure-key-vault", keyId: "https://vault.example/keys/k/1", alg: 3, wrapped: run(1, 256) };
  const bodyOf = (plaintext: Uint8Array): readonly Part[] => bodyParts(KEYS, SALT, OBJECT_CONTEXT, plaintext);
  const opens = (
    name: string,
    header: readonly Part[],
    more: Partial<Vector<EnvelopeVector>> = {},
    plaintext = INVOICE,
  ): Vector<EnvelopeVector> => {
    const body = bodyOf(plaintext);
    return whole(name, header, body, plaintext, more);
  };
  return [
    opens("example", EXAMPLE_HEADER),
    opens("empty plaintext", EXAMPLE_HEADER, {}, run(0, 0)),
    opens("one byte", EXAMPLE_HEADER, {}, run(0xff, 1)),
    opens("plaintext that is an envelope", EXAMPLE_HEADER, {}, join(EXAMPLE_ENVELOPE)),
    withoutContext(),
    opens("two recipients, opened by the first", headerParts(both), { unwrapWith: [KEK_ID] }),
    opens("two recipients, opened by the second", headerParts(both), { unwrapWith: [OLD_KEK_ID] }),
    opens("three recipients, one of a service", headerParts(keyRecordParts(KEYS.keyCommit, [foreign, OLD_RECIPIENT, localRecipient()]))),
    opens("one byte of padding", headerParts(EXAMPLE_RECORD, join(EXAMPLE_RECORD).length + 1)),
    opens("header padded to 512 bytes", headerParts(EXAMPLE_RECORD, 504)),
    opens("longest header", headerParts(EXAMPLE_RECORD, 65536)),
    {
      name: "detached",
      header: hex(join(EXAMPLE_HEADER)),
      body: hex(join(EXAMPLE_BODY)),
      keyContext: TENANT,
      context: OBJECT,
      unwrapWith: [KEK_ID],
      plaintext: hex(INVOICE),
      ...measured(EXAMPLE_HEADER),
    },
    {
      name: "detached, with padding",
      header: hex(join(headerParts(EXAMPLE_RECORD, 200))),
      body: hex(join(EXAMPLE_BODY)),
      keyContext: TENANT,
      context: OBJECT,
      unwrapWith: [KEK_ID],
      plaintext: hex(INVOICE),
      ...measured(headerParts(EXAMPLE_RECORD, 200)),
    },
  ];
}

function withoutContext(): Vector<EnvelopeVector> {
  const keys = derive(DATA_KEY, encodeContext([]));
  const header = headerParts(keyRecordParts(keys.keyCommit, [localRecipient({ keyContext: [] })]));
  const body = bodyParts(keys, SALT, encodeContext([]), INVOICE);
  return whole("no context at all", header, body, INVOICE, { keyContext: [], context: [] });
}

function whole(
  name: string,
  header: readonly Part[],
  body: readonly Part[],
  plaintext: Uint8Array,
  more: Partial<Vector<EnvelopeVector>> = {},
): Vector<EnvelopeVector> {
  return {
    name,
    envelope: withShortZeros(join([...header, ...body])),
    keyContext: TENANT,
    context: OBJECT,
    unwrapWith: [KEK_ID],
    plaintext: hex(plaintext),
    ...measured(header),
    ...more,
  };
}

function measured(header: readonly Part[]): Pick<EnvelopeVector, "headerBytes" | "paddingBytes" | "recipients"> {
  const padding = header.find(([field]) => field === "padding")?.[1] ?? run(0, 0);
  const recipients = header.filter(([field]) => field.startsWith("array of 4")).length;
  return { headerBytes: join(header).length, paddingBytes: padding.length, recipients };
}
