import { fromBase64, toBase64 } from "../../src/core/base/base64.ts";
import { type OwnedBytes, wellFormedUtf8, wipe } from "../../src/core/base/bytes.ts";
import { crc32c } from "../../src/core/base/crc32c.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { brokenAnswer, checksumFailure, type GcpOperation } from "./failures.ts";

/** The byte strings of a request, each with its checksum. int64 is a decimal text in this protocol. */
export function sentBytes(fields: Readonly<Record<string, Uint8Array>>): object {
  const sent: Record<string, string> = {};
  for (const [field, bytes] of Object.entries(fields)) {
    sent[field] = toBase64(bytes);
    sent[`${field}Crc32c`] = `${crc32c(bytes)}`;
  }
  return sent;
}

/**
 * A byte string of an answer. The service leaves out what is empty.
 *
 * @throws `provider-failure` without the field; `unavailable` if its checksum is missing or does not fit
 */
export function receivedBytes(answer: object, field: string, operation: GcpOperation, of: string): OwnedBytes {
  const text = textFieldOf(answer, field);
  const bytes = text === undefined ? undefined : fromBase64(text);
  if (bytes === undefined) throw brokenAnswer(operation, of, `holds no ${field}`);
  if (isChecksumOf(bytes, fieldOf(answer, `${field}Crc32c`))) return bytes;
  wipe(bytes);
  throw checksumFailure(operation, of);
}

/** @throws `unavailable` unless the service says that what it got is what was sent */
export function requireVerified(answer: object, fields: readonly string[], operation: GcpOperation, of: string): void {
  if (fields.some((field) => fieldOf(answer, field) !== true)) throw checksumFailure(operation, of);
}

/** The text of a field with a checksum, such as a public key in PEM. @throws as {@link receivedBytes} */
export function receivedText(answer: object, field: string, operation: GcpOperation, of: string): string {
  const text = textFieldOf(answer, field);
  const bytes = text === undefined ? undefined : wellFormedUtf8(text);
  if (text === undefined || bytes === undefined) throw brokenAnswer(operation, of, `holds no ${field}`);
  if (!isChecksumOf(bytes, fieldOf(answer, `${field}Crc32c`))) throw checksumFailure(operation, of);
  return text;
}

function isChecksumOf(bytes: Uint8Array, checksum: unknown): boolean {
  return (typeof checksum === "string" || typeof checksum === "number") && `${checksum}` === `${crc32c(bytes)}`;
}
