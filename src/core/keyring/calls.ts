import { CALL_OPTIONS, type CallOptions, callSignal, VALUE_OPTIONS, type ValueOptions } from "../base/call-options.ts";
import type { KeyContext } from "../base/context.ts";
import type { OptionNames } from "../base/options.ts";
import { claimedPlaintextBytes } from "../crypto/body-sizes.ts";
import type { KeyRecord } from "../format/key-record.ts";

// The options of a keyring's methods, read when the method is called. Later changes by the caller have no effect.

export interface EncryptOptions extends ValueOptions {
  /** Pads the header with zeros to at least this many bytes, so that a later rewrap can be done in place. At most 65,544. */
  readonly minHeaderBytes?: number;
}

/** The options of a call, as they were when the method was called. */
export interface Call {
  readonly signal: AbortSignal | undefined;
}

export interface EncryptCall extends Call {
  readonly valueContext: Uint8Array;
  readonly minHeaderBytes: number | undefined;
}

export interface ParsedEnvelope {
  readonly record: KeyRecord;
  readonly body: Uint8Array;
}

export interface OpenCall extends Call, ParsedEnvelope {
  readonly bodyLength: number;
  readonly plaintextBytes: number;
  readonly valueContext: Uint8Array;
}

export function plainCall(options: CallOptions, what: string): Call {
  return { signal: callSignal(options, CALL_OPTIONS, what) };
}

/**
 * Reads the options of a call.
 *
 * @throws `invalid-argument`; and what `parse` throws, which comes before any fault of the context
 */
export function openCall(keyContext: KeyContext, options: ValueOptions, what: string, parse: () => ParsedEnvelope): OpenCall {
  const signal = callSignal(options, VALUE_OPTIONS, what);
  const { record, body } = parse();
  const plaintextBytes = claimedPlaintextBytes(body.length);
  return { signal, record, body, bodyLength: body.length, plaintextBytes, valueContext: keyContext.encode(options.context) };
}

export function encryptCall(keyContext: KeyContext, options: EncryptOptions, what: string): EncryptCall {
  const signal = callSignal(options, ENCRYPT_OPTIONS, what);
  return { signal, valueContext: keyContext.encode(options.context), minHeaderBytes: options.minHeaderBytes };
}

const ENCRYPT_OPTIONS: OptionNames<EncryptOptions> = { ...VALUE_OPTIONS, minHeaderBytes: true };
