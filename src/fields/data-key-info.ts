import { EnvelockError } from "../core/base/errors.ts";
import type { DataKeyState, StoredDataKey } from "../core/contracts/data-key-store.ts";
import { type InspectedRecipient, inspectKeyRecord } from "../core/keyring/inspect.ts";
import type { ListedRow, Scope } from "./key-table.ts";
import type { KeyPurpose } from "./scope.ts";

/** The description of a stored data key. */
export interface DataKeyInfo {
  readonly version: number;
  /** The name of the key in tokens: 32 hex digits. */
  readonly kid: string;
  readonly state: DataKeyState;
  /** Keys of blind indexes stay when data keys are rotated. */
  readonly purpose: KeyPurpose;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  /** The KEK versions that can unwrap it; none once it is shredded. Not verified. */
  readonly recipients: readonly InspectedRecipient[];
  /** What is wrong with the row or its record. The other fields are then what can be read of it. */
  readonly error: EnvelockError | undefined;
}

/** Describes a row. One that cannot be read is described with its error. */
export function infoOf({ row, error }: ListedRow, { purpose }: Scope): DataKeyInfo {
  const { version, kid, state, createdAtMs } = row;
  const info = { version, kid, state: error === undefined ? state : "unreadable", purpose, createdAtMs } as const;
  if (error !== undefined) return { ...info, recipients: [], error };
  try {
    return { ...info, recipients: recipientsOf(row), error };
  } catch (failure) {
    if (failure instanceof EnvelockError) return { ...info, recipients: [], error: failure };
    throw failure;
  }
}

function recipientsOf({ record }: StoredDataKey): readonly InspectedRecipient[] {
  return record === null ? [] : inspectKeyRecord(record).recipients;
}
