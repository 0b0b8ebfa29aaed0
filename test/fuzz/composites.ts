import { hexToBytes } from "@noble/hashes/utils.js";
import { Keyring } from "envelock";
import { bothOf, threshold } from "envelock/providers/composite";
import { localKey } from "envelock/providers/local";
import { compositeVectors } from "../format/composite-vectors.ts";
import type { Part } from "../format/writer.ts";
import * as writer from "../format/writer.ts";
import { type ReaderKek, readKeyRecord } from "../mutants/reader.ts";
import type { Slip } from "../mutants/slips.ts";
import { changed } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";

const { shared, vectors } = compositeVectors();
const [FIRST = noVector(), ...OTHERS] = vectors.filter(({ error }) => error === undefined);

/** A key record whose one recipient is of algorithm 11 or 12, changed or not, and the two readers of it. */
export interface CompositeCase {
  readonly isChanged: boolean;
  /** The 32 bytes that name and commit to the data key. */
  readonly keyCommit: Uint8Array;
  library(): Promise<Uint8Array>;
  reader(slip: Slip | undefined): Uint8Array;
}

export function compositeCase(random: Random): CompositeCase {
  const { alg, keyId, keyContext, dataKey, wrapped } = random.pick([FIRST, ...OTHERS]);
  const isChanged = random.chance(0.9);
  const parts = cut(hexToBytes(wrapped), random);
  const bytes = isChanged ? changed(parts, random) : writer.join(parts);
  const { keyCommit } = writer.derive(hexToBytes(dataKey), writer.encodeContext(keyContext));
  const kind = alg === 11 ? "both" : "threshold";
  const recipient = { provider: kind, keyId, alg, wrapped: bytes };
  const record = writer.join(writer.standaloneParts(writer.keyRecordParts(keyCommit, [recipient])));
  return {
    isChanged,
    keyCommit,
    async library() {
      const keyring = new Keyring({ unwrapWith: [bothKey(), thresholdKey()], context: Object.fromEntries(keyContext) });
      return (await keyring.unwrapDataKey(record)).keyCommit;
    },
    reader(slip) {
      const { name, keys } = shared[kind];
      const version = (id: string): ReaderKek[number] => ({ provider: "local", keyId: id, alg: 1, secret: secretOf(id) });
      const composite = { kind, name, needed: shared.threshold.needed, keys: keys.map(version) } as const;
      const keks: readonly ReaderKek[] = [[{ provider: kind, keyId, alg, secret: new Uint8Array(0), composite }]];
      const opened = readKeyRecord(record, { keks, keyContext, context: [] }, slip);
      return writer.derive(opened, writer.encodeContext(keyContext)).keyCommit;
    },
  };
}

function noVector(): never {
  throw new Error("there is no sound vector of a composite");
}

/** Pieces of any length, so that whole ones can be dropped, doubled and swapped. */
function cut(bytes: Uint8Array, random: Random): readonly Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random.below(random.chance(0.5) ? 4 : 90);
    parts.push([`from ${at}`, bytes.subarray(at, end)]);
    at = end;
  }
  return parts;
}

function bothKey(): ReturnType<typeof bothOf> {
  const [platform, tenant] = shared.both.keys;
  return bothOf({ keyId: shared.both.name, platform: keyOf(platform), tenant: keyOf(tenant) });
}

function thresholdKey(): ReturnType<typeof threshold> {
  const { name, needed, keys } = shared.threshold;
  return threshold({ keyId: name, needed, providers: keys.map(keyOf) });
}

function keyOf(keyId: string): ReturnType<typeof localKey> {
  return localKey({ keyId, key: secretOf(keyId) });
}

function secretOf(keyId: string): Uint8Array {
  return hexToBytes(shared.keks[keyId] ?? "");
}
