import { byteAt, copyOf } from "../../src/core/base/bytes.ts";
import { check } from "../../src/core/contracts/conformance-checks.ts";
import type { Recipient } from "../../src/core/contracts/key-provider.ts";
import { type Bench, bringAbout, type Case, failsUncalled, newDataKey, opensTo, unwrap, wrap } from "./checks.ts";
import type { ConformanceHarness } from "./harness.ts";
import { showsSecret } from "./shown-secrets.ts";

/** Cases of the end of a provider, and of secrets that must not show before it. */
export function lifecycleCases({ withEmptyEnvironment }: ConformanceHarness): readonly Case[] {
  const cases: Case[] = [
    { name: "close twice is fine and use after close is `closed`", run: staysClosed },
    { name: "closing one provider leaves the others open", run: closesItselfAlone },
    { name: "no secret in provider or recipient", run: showsNothing },
    { name: "no secret in errors", run: failsDiscreetly },
  ];
  if (withEmptyEnvironment !== undefined) {
    cases.push({ name: "an empty environment is enough", run: (bench) => withEmptyEnvironment(() => needsNoEnvironment(bench)) });
  }
  return cases;
}

/** A provider without `close` has no resources to release. */
async function staysClosed(bench: Bench): Promise<void> {
  const provider = await bench.open();
  const recipient = await wrap(provider, newDataKey());
  if (provider.close === undefined) return;
  await provider.close();
  await provider.close();
  await failsUncalled("closed", bench, () => wrap(provider, newDataKey()), "wrap after close");
  await failsUncalled("closed", bench, () => unwrap(provider, recipient), "unwrap after close");
  if (provider.current !== undefined) {
    await failsUncalled("closed", bench, async () => await provider.current?.(), "current after close");
  }
}

async function closesItselfAlone({ open }: Bench): Promise<void> {
  const provider = await open();
  const sibling = await open();
  const dek = newDataKey();
  const recipient = await wrap(provider, dek);
  await provider.close?.();
  await opensTo(dek, sibling, recipient, "unwrap by a provider that was open when another closed");
  await opensTo(dek, await open(), recipient, "unwrap by a provider that was opened after another closed");
}

async function showsNothing({ open, harness }: Bench): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const recipient = await wrap(provider, dek);
  await unwrap(provider, recipient);
  const secrets = [dek, ...(harness.secrets ?? [])];
  check(!showsSecret(provider, secrets), "a provider must show no secret by property, inspect or JSON");
  check(!showsSecret(recipient, secrets), "a recipient must hold no secret in clear");
}

async function failsDiscreetly(bench: Bench): Promise<void> {
  const dek = newDataKey();
  const secrets = [dek, ...(bench.harness.secrets ?? [])];
  for (const error of await failuresAround(bench, dek)) {
    check(!showsSecret(error, secrets), `an error must show no secret, its causes neither: ${nameOf(error)}`);
  }
}

/** Collects an error of each kind that the harness can cause, all from calls that used `dek`. Other cases check that they fail. */
async function failuresAround({ open, openOther, harness }: Bench, dek: Uint8Array): Promise<readonly unknown[]> {
  const { failures = {}, maxCalls } = harness;
  const provider = await open();
  const recipient = await wrap(provider, dek);
  const errors = [
    await errorOf(() => unwrap(provider, tampered(recipient))),
    await errorOf(() => unwrap(provider, { ...recipient, keyId: "x" })),
    await errorOf(async () => await unwrap(await openOther(), recipient)),
  ];
  for (const failure of Object.values(failures)) {
    await bringAbout(failure);
    errors.push(await errorOf(() => unwrap(provider, recipient)));
    if (maxCalls?.wrap === 0) continue;
    await bringAbout(failure);
    errors.push(await errorOf(() => wrap(provider, dek)));
  }
  await provider.close?.();
  errors.push(await errorOf(() => wrap(provider, dek)), await errorOf(() => unwrap(provider, recipient)));
  return errors;
}

async function errorOf(operation: () => Promise<unknown>): Promise<unknown> {
  try {
    await operation();
    return undefined;
  } catch (error) {
    return error;
  }
}

async function needsNoEnvironment({ open }: Bench): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  await opensTo(dek, provider, await wrap(provider, dek), "unwrap in an empty environment");
}

function tampered(recipient: Recipient): Recipient {
  const wrapped = copyOf(recipient.wrapped);
  wrapped[0] = byteAt(wrapped, 0) ^ 1;
  return { ...recipient, wrapped };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
