import { fromHex, toHex } from "../core/base/bytes.ts";
import { EnvelockError } from "../core/base/errors.ts";
import type { DataKeyState, StoredDataKey } from "../core/contracts/data-key-store.ts";

/** A row in the form of files and databases: record and proof are hex. */
export interface FlatRow extends Omit<StoredDataKey, "record" | "proof"> {
  readonly record: string | null;
  readonly proof: string | null;
}

export function flatRow(row: StoredDataKey): FlatRow {
  const { scope, version, kid, state, record, proof, createdAtMs, revision } = row;
  return { scope, version, kid, state, record: record && toHex(record), proof: proof && toHex(proof), createdAtMs, revision };
}

/**
 * Parses a row of a file or a database. Integers may be numbers, bigints or decimal text, because clients differ.
 *
 * @throws `provider-failure` if it is no row
 */
export function storedRow(given: unknown): StoredDataKey {
  if (typeof given !== "object" || given === null) throw noRow("it is no object");
  const fields = new Map<string, unknown>(Object.entries(given));
  return {
    scope: textField(fields, "scope"),
    version: integerField(fields, "version"),
    kid: textField(fields, "kid"),
    state: stateField(fields),
    record: bytesField(fields, "record"),
    proof: bytesField(fields, "proof"),
    createdAtMs: integerField(fields, "createdAtMs"),
    revision: integerField(fields, "revision"),
  };
}

/**
 * Parses a row like `storedRow`, but a bad row must not hide the others. It becomes `unreadable`, if its scope and version can be read.
 *
 * @throws `provider-failure` if scope or version of the row cannot be read
 */
export function scannedRow(given: unknown): StoredDataKey {
  try {
    return storedRow(given);
  } catch (error) {
    return unreadableRow(given) ?? raise(error);
  }
}

/** Makes the row that replaces an unreadable one, or returns undefined if not even its place can be read. */
export function unreadableRow(given: unknown): StoredDataKey | undefined {
  if (typeof given !== "object" || given === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(given));
  try {
    const place = { scope: textField(fields, "scope"), version: integerField(fields, "version") };
    return { ...place, kid: "", state: "unreadable", record: null, proof: null, createdAtMs: 0, revision: 0 };
  } catch {
    return undefined;
  }
}

function raise(error: unknown): never {
  throw error;
}

type Fields = ReadonlyMap<string, unknown>;

function textField(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (typeof value !== "string") throw noRow(`${name} is not text`);
  return value;
}

function integerField(fields: Fields, name: string): number {
  const value = fields.get(name);
  const isDecimal = typeof value === "string" && /^\d{1,16}$/.test(value);
  const integer = typeof value === "bigint" || isDecimal ? Number(value) : value;
  if (typeof integer !== "number" || !Number.isSafeInteger(integer)) throw noRow(`${name} is not a safe integer`);
  return integer;
}

function stateField(fields: Fields): DataKeyState {
  const value = fields.get("state");
  const state = STATES.find((known) => known === value);
  if (state === undefined) throw noRow(`state is none of ${STATES.join(", ")}`);
  return state;
}

/** Reads a field. A missing one is null, as the proof is in rows that are older than proofs. */
function bytesField(fields: Fields, name: "record" | "proof"): Uint8Array | null {
  const value = fields.get(name) ?? null;
  if (value === null) return null;
  const bytes = typeof value === "string" ? fromHex(value) : undefined;
  if (bytes === undefined) throw noRow(`${name} is neither hex nor null`);
  return bytes;
}

/** Makes the error for a row of a file or a database that cannot be parsed. */
export function noRow(why: string): EnvelockError {
  return new EnvelockError("provider-failure", `the store holds a row that is none: ${why}`);
}

const STATES: readonly DataKeyState[] = ["active", "retired", "shredded"];
