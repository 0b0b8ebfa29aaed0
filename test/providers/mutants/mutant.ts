import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { EMPTY_ANSWER, type SoundProvider, TOY_CODES, toyKey } from "../toy/toy-key.ts";
import type { ToyKeyService } from "../toy/toy-key-service.ts";

/** A sound provider with one fault, and the cases that notice it: all of these and no other. */
export interface Mutant {
  readonly fault: string;
  readonly rejectedBy: readonly string[];
  /** What replaces parts of the sound provider. */
  change(sound: SoundProvider, service: ToyKeyService, key: string): Changes;
}

/** Members that no provider has are there to give secrets away. */
interface Changes extends Partial<KeyProvider> {
  readonly state?: unknown;
  toJSON?(): unknown;
}

export function mutated({ change }: Mutant, service: ToyKeyService, key: string): KeyProvider {
  const sound = toyKey(service, key);
  return { ...sound, ...change(sound, service, key) };
}

/** The case about a failure that has no native error. */
export function silentFailureCase(operation: "wrap" | "unwrap"): string {
  return `${EMPTY_ANSWER} arrives from ${operation} without a cause`;
}

/** One name for each way in which the toy service can fail. */
export function failureCases(operation: "wrap" | "unwrap"): readonly string[] {
  return TOY_CODES.map((code) => `${code} arrives from ${operation} with its cause`);
}
