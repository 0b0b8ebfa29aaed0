import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { jsonIn } from "../core/base/json.ts";

// Rows of tenants and of jobs: a place, a revision, and a document that is text.

/** Parses an integer of at least 0 as a client gives it: a number, a bigint or decimal text. @returns undefined if it is none */
export function integerIn(value: unknown): number | undefined {
  const isDecimal = typeof value === "string" && /^\d{1,16}$/.test(value);
  const integer = typeof value === "bigint" || isDecimal ? Number(value) : value;
  return typeof integer === "number" && Number.isSafeInteger(integer) && integer >= 0 ? integer : undefined;
}

/** Requires a document and a revision that every store can hold. @throws `invalid-argument` */
export function requireDocument({ document, revision }: { document: string; revision: number }, maxBytes: number): void {
  if (typeof document !== "string" || ENCODER.encode(document).length > maxBytes)
    throw invalidArgument(`document is text of at most ${maxBytes} bytes`);
  if (!(Number.isSafeInteger(revision) && revision > 0)) throw invalidArgument("revision is an integer above 0");
}

/** Parses a file of such rows. @returns no rows for a file that is not there @throws `provider-failure` for one of another format */
export function rowsInFile(text: string | undefined, format: string, noFile: string): readonly unknown[] {
  if (text === undefined) return [];
  const content: unknown = jsonIn(text);
  const isStore = typeof content === "object" && content !== null && "format" in content && content.format === format;
  if (!(isStore && "rows" in content && Array.isArray(content.rows))) throw new EnvelockError("provider-failure", noFile);
  return content.rows;
}

/** Gives the text of a file of such rows. */
export function fileOfRows(format: string, rows: readonly object[]): string {
  return `${JSON.stringify({ format, rows }, undefined, 2)}\n`;
}

const ENCODER = new TextEncoder();
