import { equalPublicBytes, isBytes, toBase64Url, toHex } from "../../core/base/bytes.ts";
import { check } from "../../core/contracts/conformance-checks.ts";
import type { DataKeyStore, StoredDataKey } from "../../core/contracts/data-key-store.ts";

/** The harness that the cases need for a store. */
export interface StoreConformanceHarness {
  /** Opens a new store object, each on the same table, file or other place of the rows. The case that asked for it closes it. */
  open(): DataKeyStore | Promise<DataKeyStore>;

  /** Whether these bytes occur anywhere in the place of the rows, read past the store: raw, in hex or in base64. */
  holds?(bytes: Uint8Array): boolean | Promise<boolean>;
}

/** A case before it is bound to its harness. */
export interface Case {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

/** The tools of a case: stores that are closed when the case ends. */
export interface Bench {
  open(): Promise<DataKeyStore>;
}

/** Makes a scope that no case has used. */
export function newScope(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(24)));
}

/** Makes a new row of a scope, in version 1 by default. */
export function newRow(scope: string, differences: Partial<StoredDataKey> = {}): StoredDataKey {
  return {
    scope,
    version: 1,
    kid: toHex(crypto.getRandomValues(new Uint8Array(16))),
    state: "active",
    record: newRecord(150),
    proof: newRecord(35),
    createdAtMs: 1_790_000_000_000,
    revision: 1,
    ...differences,
  };
}

export function newRecord(bytes: number): Uint8Array {
  const record = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += MOST_RANDOM_BYTES) crypto.getRandomValues(record.subarray(at, at + MOST_RANDOM_BYTES));
  return record;
}

/** Inserts a row that must be new. */
export async function insert(store: DataKeyStore, row: StoredDataKey): Promise<void> {
  check((await store.insertIfAbsent(row)) === true, "insertIfAbsent must say true of a row whose version and kid are new in its scope");
}

/** Checks that this row stands by kid and in the list exactly as given. */
export async function checkStands(store: DataKeyStore, row: StoredDataKey, what: string): Promise<void> {
  checkRow(await store.byKid(row.scope, row.kid), row, `byKid, ${what},`);
  const listed = (await store.list(row.scope)).filter(({ version }) => version === row.version);
  check(listed.length === 1, `list, ${what}, must give each version once`);
  checkRow(listed[0], row, `list, ${what},`);
}

export function checkRow(given: StoredDataKey | undefined, expected: StoredDataKey, what: string): void {
  check(given !== undefined, `${what} must give the row`);
  if (given === undefined) return;
  for (const field of FIELDS) check(given[field] === expected[field], `${what} must give ${field} as it was stored`);
  check(isSameBytes(given.record, expected.record), `${what} must give the record as it was stored`);
  check(isSameBytes(given.proof, expected.proof), `${what} must give the proof as it was stored`);
}

function isSameBytes(given: Uint8Array | null, expected: Uint8Array | null): boolean {
  if (given === null || expected === null) return given === expected;
  return isBytes(given) && equalPublicBytes(given, expected);
}

const FIELDS = ["scope", "version", "kid", "state", "createdAtMs", "revision"] as const;
const MOST_RANDOM_BYTES = 65536;
/** More than what a column of 64 KiB takes. */
export const MAX_RECORD_BYTES = 65_537;
export const MAX_PROOF_BYTES = 16_384;
