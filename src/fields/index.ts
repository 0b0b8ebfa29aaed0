export type { JsonValue } from "../core/base/json.ts";
export type {
  DataKeyState,
  DataKeyStore,
  KeyCuts,
  RowChange,
  RowPlace,
  ScanPage,
  StoredDataKey,
  WantedCuts,
} from "../core/contracts/data-key-store.ts";
export type { BlindIndexOptions, BlindIndexValue } from "./blind-index.ts";
export { type BlindIndexPlan, type BlindIndexQuestion, planBlindIndex } from "./blind-index-plan.ts";
export type { CborValue } from "./cbor-value.ts";
export type { DataKeyInfo } from "./data-key-info.ts";
export { DataKeys } from "./data-keys.ts";
export type { DataKeysOptions, RotateOptions } from "./data-keys-options.ts";
export type { FieldCipher, RowFieldCipher } from "./field-cipher.ts";
export {
  type CompoundIndexOptions,
  type DeterministicFieldOptions,
  type FieldOptions,
  type MigratingFieldOptions,
  type NoRow,
  type ParsedCborFieldOptions,
  type ParsedFieldOptions,
  type RowArgument,
  type RowId,
  type RowRequired,
  rowKey,
} from "./field-options.ts";
export type { Checkpoint } from "./jobs/checkpoint.ts";
export type { ColumnChange, ColumnJob, ColumnRow, ReencryptReport, TableKey } from "./jobs/column-job.ts";
export type { KeyRowFailure, KeyRowsReport } from "./jobs/key-rows.ts";
export { type MoveColumnOptions, type MovedRow, moveColumn } from "./jobs/move-column.ts";
export type { JobOptions, JobProgress } from "./jobs/pages.ts";
export type { ProveReport } from "./jobs/prove-all.ts";
export { type ColumnCipher, type ReencryptTableOptions, reencryptTable } from "./jobs/reencrypt-table.ts";
export type { KeyVersionCount, RewrapAllOptions, RewrapReport } from "./jobs/rewrap-all.ts";
export type { KeyJobOptions, ScopeReport, SkippedScope } from "./jobs/scope-keyrings.ts";
export type { VerifyReport } from "./jobs/verify-all.ts";
export type { IndexSettings, KeyedIndex } from "./keyed-index.ts";
export type { MigratingFieldCipher, StoredValue } from "./migrating-cipher.ts";
export { type Normalise, normalised } from "./normalise.ts";
export type { KeyPurpose } from "./scope.ts";
export { contextOfScope } from "./scope.ts";
export { memoryStore } from "./stores/memory.ts";
export type { ValueType, ValueTypes } from "./values.ts";
