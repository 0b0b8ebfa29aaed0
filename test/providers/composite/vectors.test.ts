import { hexToBytes } from "@noble/hashes/utils.js";
import { describe, expect, test } from "vitest";
import { bothOf, threshold } from "../../../providers/composite/index.ts";
import { localKey } from "../../../providers/local/index.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { CompositeVector, SharedComposites } from "../../format/composite-vectors.ts";
import { counted, mapOf, outcomeOf, titleOf } from "../../format/outcomes.ts";
import { readVectors } from "../../format/read-vectors.ts";
import { hex } from "../../format/vector-file.ts";
import * as writer from "../../format/writer.ts";

// docs/vectors/composite-wraps.json through the keyring. docs/format.md §3.3

describe("wraps of algorithms 11 and 12", () => {
  const { shared, vectors } = readVectors<CompositeVector, SharedComposites>("composite-wraps.json");
  counted(vectors, 8, 29);
  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const { alg, keyId } = vector;
      const { keyCommit } = writer.derive(hexToBytes(vector.dataKey), writer.encodeContext(vector.keyContext));
      const recipient = { provider: alg === 11 ? "both" : "threshold", keyId, alg, wrapped: hexToBytes(vector.wrapped) };
      const record = writer.join(writer.standaloneParts(writer.keyRecordParts(keyCommit, [recipient])));
      const keyring = new Keyring({ unwrapWith: [bothKey(shared), thresholdKey(shared)], context: mapOf(vector.keyContext) });
      const outcome = await outcomeOf(async () => (await keyring.unwrapDataKey(record)).keyCommit);
      expect(outcome).toEqual(vector.error === undefined ? { bytes: hex(keyCommit) } : { error: vector.error });
    });
  }
});

function bothKey({ keks, both: { name, keys } }: SharedComposites): KeyProvider {
  const [platform, tenant] = keys;
  return bothOf({ keyId: name, platform: keyOf(keks, platform), tenant: keyOf(keks, tenant) });
}

function thresholdKey({ keks, threshold: { name, needed, keys } }: SharedComposites): KeyProvider {
  return threshold({ keyId: name, needed, providers: keys.map((keyId) => keyOf(keks, keyId)) });
}

function keyOf(keks: SharedComposites["keks"], keyId: string): KeyProvider {
  return localKey({ keyId, key: hexToBytes(keks[keyId] ?? "") });
}
