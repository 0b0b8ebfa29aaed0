import { concatBytes, copyOf, equalPublicBytes, isBytes } from "../../src/core/base/bytes.ts";
import { KeyContext } from "../../src/core/base/context.ts";
import type { EnvelockError } from "../../src/core/base/errors.ts";
import { check, failsWith } from "../../src/core/contracts/conformance-checks.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { encodeWrapAad } from "../../src/core/format/key-record.ts";
import type { BackendFailure, ConformanceHarness, Settled } from "./harness.ts";

/** A case before it is bound to its harness. */
export interface Case {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

/** The tools of a case: the harness, and providers that are closed when the case ends. */
export interface Bench {
  readonly harness: ConformanceHarness;
  /** Opens a new provider on the KEK. */
  open(): Promise<KeyProvider>;
  /** Opens a new provider on the other KEK. */
  openOther(): Promise<KeyProvider>;
  /** Closes this provider too when the case ends. */
  keep(opening: Settled<KeyProvider>): Promise<KeyProvider>;
}

/** Runs a case and closes what it opened, also when it failed. */
export async function withBench(harness: ConformanceHarness, run: (bench: Bench) => Promise<void>): Promise<void> {
  const opened: KeyProvider[] = [];
  const keep = async (opening: Settled<KeyProvider>): Promise<KeyProvider> => {
    const provider = await opening;
    opened.push(provider);
    return provider;
  };
  try {
    await run({ harness, open: () => keep(harness.open()), openOther: () => keep(harness.openOther()), keep });
  } finally {
    await Promise.allSettled(opened.map(async (provider) => await provider.close?.()));
  }
}

/** Fails like `failsWith`, and the backend must not have been called. */
export async function failsUncalled(
  code: string,
  { harness }: Bench,
  operation: () => Promise<unknown>,
  what: string,
): Promise<EnvelockError> {
  const before = harness.calls?.();
  const error = await failsWith(code, operation, what);
  check(harness.calls?.() === before, `${what} must make no backend call`);
  return error;
}

/** Wraps a copy, so that a change of the argument shows only in the cases about that. */
export async function wrap(provider: KeyProvider, dek: Uint8Array): Promise<Recipient> {
  return await provider.wrap(copyOf(dek), optionsFor(provider));
}

/** Unwraps a copy, for the same reason. */
export async function unwrap(provider: KeyProvider, recipient: Recipient): Promise<Uint8Array> {
  return await provider.unwrap({ ...recipient, wrapped: copyOf(recipient.wrapped) }, optionsFor(provider));
}

export async function opensTo(dek: Uint8Array, provider: KeyProvider, recipient: Recipient, what: string): Promise<void> {
  const result = await unwrap(provider, recipient);
  check(isBytes(result) && equalPublicBytes(result, dek), `${what} must give the data key that was wrapped`);
}

/** Makes the options that the core would hand to this provider for a keyring of this key context. */
export function optionsFor(provider: KeyProvider, { context = KEY_CONTEXT, signal }: OptionsInput = {}): WrapOptions {
  const { bytes, map } = new KeyContext(context);
  return { keyContext: map, wrapAad: (keyId) => encodeWrapAad(provider.name, keyId, bytes), ...(signal && { signal }) };
}

/** Makes 32 random bytes, not zero at either end: the effect of zeros there is one case's concern. */
export async function bringAbout(failure: BackendFailure): Promise<void> {
  await (typeof failure === "function" ? failure() : failure.fail());
}

export function newDataKey(): Uint8Array {
  return concatBytes(Uint8Array.of(0xa5), crypto.getRandomValues(new Uint8Array(30)), Uint8Array.of(0x5a));
}

interface OptionsInput {
  readonly context?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const KEY_CONTEXT = { purpose: "conformance", tenant: "acme" } as const;
