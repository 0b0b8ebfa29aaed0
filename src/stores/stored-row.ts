import { fromHex, toHex } from "../core/base/bytes.ts";
import { EnvelockError } from "../core/base/errors.ts";
import type { DataKeyState, StoredDataKey } from "../core/contracts/data-key-store.ts";

/** A row as files and databases keep it: the record is hex. */
export interface FlatRow extends Omit<StoredDataKey, "record"> {
  readonly record: string | null;
}

export function flatRow(row: StoredDataKey): FlatRow {
  const { scope, version, kid, state, record, createdAtMs, revision } = row;
  return { scope, version, kid, state, record: record && toHex(record), createdAtMs, revision };
}

/**
 * A row out of what a file or a database gave. Integers may be numbers, bigints or decimal text: clients differ.
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
    record: recordField(fields),
    createdAtMs: integerField(fields, "createdAtMs"),
    revision: integerField(fields, "revision"),
  };
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

function recordField(fields: Fields): Uint8Array | null {
  const value = fields.get("record");
  if (value === null) return null;
  const record = typeof value === "string" ? fromHex(value) : undefined;
  if (record === undefined) throw noRow("record is neither hex nor null");
  return record;
}

function noRow(why: string): EnvelockError {
  return new EnvelockError("provider-failure", `the store holds a row that is none: ${why}`);
}

const STATES: readonly DataKeyState[] = ["active", "retired", "shredded"];
