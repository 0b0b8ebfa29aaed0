import { concatBytes, copyOf, equalPublicBytes, isBytes, textOf, toHex, utf8, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import { check, failureOf } from "../../src/core/contracts/conformance-checks.ts";
import type { KeyProvider, Recipient } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { MAX_KEY_ID_BYTES, MAX_WRAPPED_BYTES, PROVIDER_NAME } from "../../src/core/format/recipient.ts";
import { type Bench, type Case, newDataKey, opensTo, optionsFor, unwrap, wrap } from "./checks.ts";
import type { ConformanceHarness, Settled } from "./harness.ts";

/** Cases of every wrapping, for any backend. */
export function wrappingCases({ openOneWay }: ConformanceHarness): readonly Case[] {
  return [
    ...(openOneWay === undefined ? [] : [{ name: ONE_WAY, run: (bench: Bench) => wrapsNothingOneWay(bench, openOneWay) }]),
    { name: "unwrap gives back what wrap took", run: invertsWrap },
    { name: "64 at once do not cross", run: doesNotCross },
    { name: "a recipient is fit to be stored", run: givesFitRecipients },
    { name: "a randomised wrapping never repeats", run: neverRepeats },
    { name: "current names the version that wraps", run: namesCurrent },
    { name: "a result is 32 bytes in an ArrayBuffer of its own", run: ownsItsResult },
    { name: "wiping a result harms nothing", run: survivesWipedResult },
    { name: "wrap leaves the data key as it was", run: leavesDataKey },
    { name: "wrap keeps no reference to the data key", run: keepsNoDataKey },
    { name: "unwrap leaves the recipient as it was", run: leavesRecipient },
  ];
}

/** Also on the second try: a failure must not count as proof. */
async function wrapsNothingOneWay({ keep }: Bench, openOneWay: () => Settled<KeyProvider>): Promise<void> {
  const provider = await keep(openOneWay());
  for (const when of ["first", "next"]) {
    const failure = await failureOf(() => wrap(provider, newDataKey()), `the ${when} wrap under a KEK that may not unwrap`);
    check(failure instanceof EnvelockError && !failure.retryable, "a KEK that may not unwrap must be refused for good");
  }
}

async function invertsWrap({ open }: Bench): Promise<void> {
  const provider = await open();
  const random = newDataKey();
  const edges = [new Uint8Array(32), new Uint8Array(32).fill(0xff), zeroed(random, 0, 4), zeroed(random, 28, 32)];
  for (const dek of [random, ...edges]) {
    const recipient = await wrap(provider, dek);
    await opensTo(dek, provider, recipient, "unwrap");
    await opensTo(dek, await open(), recipient, "unwrap by another provider object on the same KEK");
  }
}

async function doesNotCross({ open }: Bench): Promise<void> {
  const provider = await open();
  const deks = Array.from({ length: 64 }, newDataKey);
  const recipients = await Promise.all(deks.map((dek) => wrap(provider, dek)));
  const results = await Promise.all(recipients.map((recipient) => unwrap(provider, recipient)));
  for (const [place, result] of results.entries()) {
    check(equalPublicBytes(result, deks[place] ?? new Uint8Array(0)), "each of 64 concurrent calls must get its own data key");
  }
}

// docs/format.md §3: a recipient outside these limits could be written and never read
async function givesFitRecipients({ open, harness }: Bench): Promise<void> {
  const provider = await open();
  const { provider: name, keyId, alg, wrapped } = await wrap(provider, newDataKey());
  check(PROVIDER_NAME.test(provider.name), "a provider's name has 1 to 32 characters of a-z, 0-9 and -");
  check(name === provider.name, "a recipient must name the provider as the provider names itself");
  check(provider.owns(keyId) === true, "a provider must own the key id that its wrap reports");
  const id = utf8(keyId);
  check(id.length >= 1 && id.length <= MAX_KEY_ID_BYTES && textOf(id) === keyId, "a key id has 1 to 512 bytes of well-formed UTF-8");
  check(KNOWN_ALGORITHMS.has(alg), "alg must be an algorithm of docs/format.md §3");
  const binds = COMPOSITE_ALGORITHMS.has(alg) ? harness.bindsContext : BINDING_ALGORITHMS.has(alg);
  check(binds === harness.bindsContext, "alg must fit what the harness says about binding the context");
  check(isBytes(wrapped) && wrapped.length >= 1 && wrapped.length <= MAX_WRAPPED_BYTES, "a wrapped key has 1 to 4096 bytes");
}

async function neverRepeats({ open }: Bench): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const recipients = await Promise.all(Array.from({ length: 16 }, () => wrap(provider, dek)));
  if (recipients.some(({ alg }) => !RANDOMISED_ALGORITHMS.has(alg))) return; // RFC 3394 and 5649 take no nonce, services say nothing
  const distinct = new Set(recipients.map(({ wrapped }) => toHex(wrapped)));
  check(distinct.size === recipients.length, "two wraps of one data key must differ: a nonce or seed was used twice");
}

async function namesCurrent({ open }: Bench): Promise<void> {
  const provider = await open();
  const current = await provider.current?.();
  if (current === undefined) return;
  const { keyId } = await wrap(provider, newDataKey());
  check(current === keyId, "current must be the key id that wrap reports");
}

async function ownsItsResult({ open }: Bench): Promise<void> {
  const provider = await open();
  const result = await unwrap(provider, await wrap(provider, newDataKey()));
  check(isBytes(result) && result.length === DATA_KEY_BYTES, `unwrap must give ${DATA_KEY_BYTES} bytes`);
  check(result.buffer.byteLength === 32, "a result must own exactly its ArrayBuffer");
}

async function survivesWipedResult({ open }: Bench): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const recipient = await wrap(provider, dek);
  wipe(await unwrap(provider, recipient));
  await opensTo(dek, provider, recipient, "a second unwrap, after the first result was wiped,");
}

async function leavesDataKey({ open }: Bench): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const handed = copyOf(dek);
  await provider.wrap(handed, optionsFor(provider));
  check(equalPublicBytes(handed, dek), "wrap must not change the data key: it is the caller's");
}

async function keepsNoDataKey({ open }: Bench): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const handed = copyOf(dek);
  const recipient = await provider.wrap(handed, optionsFor(provider));
  wipe(handed);
  await opensTo(dek, provider, recipient, "unwrap, after the caller wiped its data key,");
}

async function leavesRecipient({ open }: Bench): Promise<void> {
  const provider = await open();
  const recipient = await wrap(provider, newDataKey());
  const handed: Recipient = { ...recipient, wrapped: copyOf(recipient.wrapped) };
  await provider.unwrap(handed, optionsFor(provider));
  check(equalPublicBytes(handed.wrapped, recipient.wrapped), "unwrap must not change the wrapped bytes");
}

function zeroed(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return concatBytes(bytes.subarray(0, start), new Uint8Array(end - start), bytes.subarray(end));
}

const ONE_WAY = "what wraps also unwraps, or wraps nothing";
const KNOWN_ALGORITHMS: ReadonlySet<number> = new Set<number>(Object.values(WRAP_ALGORITHMS));
const BINDING_ALGORITHMS: ReadonlySet<number> = new Set<number>([
  WRAP_ALGORITHMS.xaes256Gcm,
  WRAP_ALGORITHMS.aesGcm,
  WRAP_ALGORITHMS.hpkeX25519,
  WRAP_ALGORITHMS.hpkeMlKem768X25519,
  WRAP_ALGORITHMS.opaqueWithContext,
]);
/** These bind the context as far as the wraps of their parts do. */
const COMPOSITE_ALGORITHMS: ReadonlySet<number> = new Set<number>([WRAP_ALGORITHMS.both, WRAP_ALGORITHMS.threshold]);
const RANDOMISED_ALGORITHMS: ReadonlySet<number> = new Set<number>([
  WRAP_ALGORITHMS.xaes256Gcm,
  WRAP_ALGORITHMS.aesGcm,
  WRAP_ALGORITHMS.rsaOaep256,
  WRAP_ALGORITHMS.hpkeX25519,
  WRAP_ALGORITHMS.hpkeMlKem768X25519,
  WRAP_ALGORITHMS.rsaOaepSha1,
  WRAP_ALGORITHMS.both,
  WRAP_ALGORITHMS.threshold,
]);
