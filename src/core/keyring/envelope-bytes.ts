import { engine } from "#engine";
import { isBytes, type OwnedBytes, viewOf } from "../base/bytes.ts";
import { EnvelockError, invalidArgument } from "../base/errors.ts";
import { MAX_HEADER_BYTES, type prepareHeader } from "../format/envelope.ts";
import { hintAboutType, typeInWords } from "../format/looks-like.ts";
import type { Operation } from "../resilience/operation.ts";

export type PreparedHeader = ReturnType<typeof prepareHeader>;

/** Takes the bytes of an argument as a plain Uint8Array. @throws `invalid-argument` */
export function inputBytes(bytes: Uint8Array, what: string): Uint8Array {
  if (isBytes(bytes)) return viewOf(bytes);
  const hint =
    what === "plaintext" && typeof bytes === "string" ? "new TextEncoder().encode(text) makes bytes of it." : hintAboutType(bytes);
  throw invalidArgument(`${what} must be a Uint8Array, not ${typeInWords(bytes)}`, hint);
}

/** Reports the size of the plaintext to an observer. */
export function sized<T>({ report }: Operation, bytes: number, result: T): T {
  if (report !== undefined) report.bytes = bytes;
  return result;
}

export function written(header: PreparedHeader): OwnedBytes {
  const bytes = new Uint8Array(header.headerBytes);
  header.write(bytes);
  return bytes;
}

export function checkedMinHeaderBytes(bytes: number): number {
  if (Number.isInteger(bytes) && bytes >= 0 && bytes <= MAX_HEADER_BYTES) return bytes;
  throw invalidArgument(`minHeaderBytes is ${bytes}, expected an integer from 0 to ${MAX_HEADER_BYTES}`);
}

export function allocate(bytes: number): OwnedBytes {
  try {
    return engine.allocate(bytes);
  } catch (cause) {
    throw new EnvelockError("invalid-argument", `an envelope of ${bytes} bytes does not fit one array`, { cause });
  }
}
