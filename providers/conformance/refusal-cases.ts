import { byteAt, concatBytes, copyOf } from "../../src/core/base/bytes.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import { check, failsWith } from "../../src/core/contracts/conformance-checks.ts";
import type { KeyProvider, Recipient } from "../../src/core/contracts/key-provider.ts";
import { type Bench, type Case, failsUncalled, newDataKey, optionsFor, unwrap, wrap } from "./checks.ts";
import type { ConformanceHarness } from "./harness.ts";
import { hostileKeyIds } from "./hostile-key-ids.ts";

/** Cases of recipients from the wire that a provider must refuse. */
export function refusalCases({ bindsContext }: ConformanceHarness): readonly Case[] {
  return [
    { name: "another KEK is refused", run: refusesAnotherKek },
    { name: "every flipped bit is refused", run: refusesFlips },
    { name: "truncated and extended bytes are refused", run: refusesOtherLengths },
    ...(bindsContext ? [{ name: "another context is refused", run: refusesAnotherContext }] : []),
    { name: "hostile key ids are not owned", run: ownsNoHostileKeyId },
    { name: "hostile key ids reach no backend", run: unwrapsNoHostileKeyId },
    { name: "foreign algorithms reach no backend", run: refusesForeignAlgorithms },
  ];
}

async function refusesAnotherKek(bench: Bench): Promise<void> {
  const provider = await bench.open();
  const other = await bench.openOther();
  const recipient = await wrap(provider, newDataKey());
  const { keyId: otherKeyId } = await wrap(other, newDataKey());
  check(other.owns(recipient.keyId) === false, "a provider must not own a key id of another KEK");
  await failsUncalled("unwrap-rejected", bench, () => unwrap(other, recipient), "unwrap of another KEK's recipient");
  // The AAD of the true key id: the KEK must refuse, also if the wrapping binds the key id.
  const options = { ...optionsFor(other), wrapAad: () => optionsFor(provider).wrapAad(recipient.keyId) };
  const relabelled = { ...recipient, keyId: otherKeyId };
  await failsWith("unwrap-rejected", () => other.unwrap(relabelled, options), "unwrap of another KEK's bytes under this KEK's key id");
}

async function refusesFlips({ open, harness }: Bench): Promise<void> {
  const provider = await open();
  const recipient = await wrap(provider, newDataKey());
  const step = harness.flips === "each-byte" ? 9 : 1; // 9 visits each byte once, and another bit each time
  for (let bit = 0; bit < recipient.wrapped.length * 8; bit += step) {
    const wrapped = copyOf(recipient.wrapped);
    wrapped[bit >> 3] = byteAt(wrapped, bit >> 3) ^ (1 << (bit & 7));
    await failsWith("unwrap-rejected", () => unwrap(provider, { ...recipient, wrapped }), `unwrap with bit ${bit} flipped`);
  }
}

async function refusesOtherLengths({ open }: Bench): Promise<void> {
  const provider = await open();
  const recipient = await wrap(provider, newDataKey());
  const { wrapped } = recipient;
  const others = [concatBytes(wrapped, Uint8Array.of(0)), concatBytes(Uint8Array.of(0), wrapped), concatBytes(wrapped, wrapped)];
  for (let length = 0; length < wrapped.length; length++) others.push(wrapped.slice(0, length));
  for (const other of others) {
    const what = `unwrap of ${other.length} bytes in place of ${wrapped.length}`;
    await failsWith("unwrap-rejected", () => unwrap(provider, { ...recipient, wrapped: other }), what);
  }
}

async function refusesAnotherContext({ open }: Bench): Promise<void> {
  const provider = await open();
  const recipient = await wrap(provider, newDataKey());
  for (const context of [{}, { purpose: "conformance", tenant: "acme2" }, { purpose: "conformance", tenant: "acme", more: "" }]) {
    const options = optionsFor(provider, { context });
    await failsWith("unwrap-rejected", () => provider.unwrap(recipient, options), `unwrap in context ${JSON.stringify(context)}`);
  }
}

async function ownsNoHostileKeyId(bench: Bench): Promise<void> {
  const provider = await bench.open();
  const { keyId } = await wrap(provider, newDataKey());
  const before = bench.harness.calls?.();
  for (const hostile of hostileKeyIdsFor(bench, keyId)) {
    check(answerOf(provider, hostile) === false, `owns must be false, and not throw, for ${JSON.stringify(hostile)}`);
  }
  check(bench.harness.calls?.() === before, "owns must make no backend call");
}

function answerOf(provider: KeyProvider, keyId: string): unknown {
  try {
    return provider.owns(keyId);
  } catch (error) {
    return error;
  }
}

async function unwrapsNoHostileKeyId(bench: Bench): Promise<void> {
  const provider = await bench.open();
  const recipient = await wrap(provider, newDataKey());
  for (const hostile of hostileKeyIdsFor(bench, recipient.keyId)) {
    await refusesUncalled(bench, provider, { ...recipient, keyId: hostile }, `unwrap for key id ${JSON.stringify(hostile)}`);
  }
}

async function refusesForeignAlgorithms(bench: Bench): Promise<void> {
  const provider = await bench.open();
  const recipient = await wrap(provider, newDataKey());
  const own = new Set([recipient.alg, ...(bench.harness.alsoUnwraps ?? [])]);
  const foreign = [...Object.values(WRAP_ALGORITHMS), 0, -1, 0.5, 13, 0xffffffff, Number.NaN, recipient.alg + 256].filter(
    (alg) => !own.has(alg),
  );
  for (const alg of foreign) await refusesUncalled(bench, provider, { ...recipient, alg }, `unwrap for algorithm ${alg}`);
}

async function refusesUncalled(bench: Bench, provider: KeyProvider, recipient: Recipient, what: string): Promise<void> {
  await failsUncalled("unwrap-rejected", bench, () => unwrap(provider, recipient), what);
}

function hostileKeyIdsFor({ harness }: Bench, keyId: string): readonly string[] {
  return [...hostileKeyIds(keyId), ...(harness.hostileKeyIds ?? [])];
}
