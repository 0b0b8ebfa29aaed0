import type { Context } from "../base/context.ts";
import { EnvelockError, invalidArgument } from "../base/errors.ts";
import { waitFor } from "../base/wait.ts";
import type { Operation } from "../resilience/operation.ts";
import type { OperationName } from "../telemetry/events.ts";

/** The use of a data key that a cipher of `DataKeys` holds. */
export type FieldUse = "encrypt-field" | "decrypt-field" | "index-field";

/** The call that a gate admits or refuses. */
export interface GateRequest {
  readonly operation: OperationName | FieldUse;
  /** The key context of the data key. */
  readonly keyContext: Context;
  /** Whether the call is synchronous. The gate then has to decide at once. */
  readonly isSync: boolean;
}

/**
 * Decides on each call of a keyring before a data key is used, made or unwrapped, also one that is cached. It refuses by an exception
 * or a rejection, which the caller gets as it is.
 */
export type Gate = (request: GateRequest) => void | Promise<void>;

/**
 * Asks the gate, within the bounds of the call.
 *
 * @returns undefined if the gate has admitted the call at once
 * @throws what the gate throws; `timeout` if it does not decide within the deadline; the abort's reason
 */
export function admission(gate: Gate, request: GateRequest, operation: Operation): Promise<void> | undefined {
  const pending = gate(request);
  if (!(pending instanceof Promise)) return undefined;
  const ms = operation.remainingMs;
  const tooLate = (): EnvelockError => {
    return new EnvelockError("timeout", `the gate did not decide within ${Math.round(ms)} ms`, { whose: "vendor" });
  };
  return waitFor(pending, operation.bounds(ms, tooLate));
}

/** Asks the gate about a synchronous call. @throws what the gate throws; `invalid-argument` if it does not decide at once */
export function admitNow(gate: Gate, request: GateRequest): void {
  const pending = gate(request);
  if (!(pending instanceof Promise)) return;
  pending.catch(() => undefined); // no caller waits for it
  throw invalidArgument("the gate answered a synchronous call with a promise", "Decide at once where the request says `isSync`.");
}
