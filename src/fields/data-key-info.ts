import type { DataKeyState, StoredDataKey } from "../core/contracts/data-key-store.ts";
import { type InspectedRecipient, inspectKeyRecord } from "../core/keyring/inspect.ts";
import type { Scope } from "./key-table.ts";
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
}

export function infoOf({ version, kid, state, createdAtMs, record }: StoredDataKey, { purpose }: Scope): DataKeyInfo {
  const recipients = record === null ? [] : inspectKeyRecord(record).recipients;
  return { version, kid, state, purpose, createdAtMs, recipients };
}
