import { check, failsWith } from "../../src/core/contracts/conformance-checks.ts";
import { type Bench, type Case, newDataKey, opensTo, optionsFor, wrap } from "./checks.ts";
import type { ConformanceHarness } from "./harness.ts";

/** Cases of a KEK with more than one version. */
export function versionCases({ rotate, expire }: ConformanceHarness): readonly Case[] {
  if (rotate === undefined) return [];
  return [
    { name: "after a rotation old wraps open", run: opensOldWraps },
    { name: "after a rotation new wraps name the new version", run: namesNewVersion },
    { name: "a version opens its own wraps alone", run: keepsVersionsApart },
    ...(expire === undefined ? [] : [{ name: "an expired version still unwraps", run: unwrapsExpired }]),
  ];
}

async function opensOldWraps({ open, harness }: Bench): Promise<void> {
  const dek = newDataKey();
  const older = await open();
  const recipient = await wrap(older, dek);
  await harness.rotate?.();
  await opensTo(dek, older, recipient, "after a rotation, unwrap by a provider opened before it,");
  const newer = await open();
  check(newer.owns(recipient.keyId) === true, "after a rotation, a provider must still own the version before it");
  await opensTo(dek, newer, recipient, "after a rotation, unwrap by a provider opened since");
}

async function namesNewVersion({ open, harness }: Bench): Promise<void> {
  const { keyId: oldKeyId } = await wrap(await open(), newDataKey());
  await harness.rotate?.();
  const provider = await open();
  const dek = newDataKey();
  const recipient = await wrap(provider, dek);
  check(recipient.keyId !== oldKeyId, "after a rotation, wrap must name the new version");
  check((await provider.current?.()) === recipient.keyId, "a provider with versions needs `current`, and it must name the new version");
  check(provider.owns(recipient.keyId) === true, "after a rotation, a provider must own the new version");
  await opensTo(dek, provider, recipient, "unwrap with the new version");
}

/** Uses the AAD of the version that wrapped, so that the key of the version must refuse. */
async function keepsVersionsApart({ open, harness }: Bench): Promise<void> {
  const recipient = await wrap(await open(), newDataKey());
  await harness.rotate?.();
  const provider = await open();
  const { keyId } = await wrap(provider, newDataKey());
  const options = { ...optionsFor(provider), wrapAad: () => optionsFor(provider).wrapAad(recipient.keyId) };
  const relabelled = { ...recipient, keyId };
  await failsWith(
    "unwrap-rejected",
    () => provider.unwrap(relabelled, options),
    "unwrap of an old version's bytes under the new version's key id",
  );
}

async function unwrapsExpired({ open, harness }: Bench): Promise<void> {
  const dek = newDataKey();
  const recipient = await wrap(await open(), dek);
  await harness.rotate?.();
  await harness.expire?.(recipient.keyId);
  const provider = await open();
  check(provider.owns(recipient.keyId) === true, "a provider must still own an expired version");
  await opensTo(dek, provider, recipient, "unwrap with an expired version");
  const { keyId } = await wrap(provider, newDataKey());
  check(keyId !== recipient.keyId, "wrap must not use an expired version");
}
