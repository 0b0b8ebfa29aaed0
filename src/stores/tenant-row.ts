import { invalidArgument } from "../core/base/errors.ts";
import type { TenantPlace, TenantRow, TenantRowKind } from "../core/contracts/tenant-store.ts";
import { integerIn, requireDocument } from "./document-row.ts";
import { noRow } from "./stored-row.ts";

/**
 * Parses a row of a file or a database. The revision may be a number, a bigint or decimal text, because clients differ.
 *
 * @throws `provider-failure` if it is no row
 */
export function tenantRow(given: unknown): TenantRow {
  if (typeof given !== "object" || given === null) throw noRow("it is no object");
  const fields = new Map<string, unknown>(Object.entries(given));
  const kind = TENANT_ROW_KINDS.find((known) => known === fields.get("kind"));
  const [id, document] = [fields.get("id"), fields.get("document")];
  const revision = integerIn(fields.get("revision"));
  if (kind === undefined) throw noRow(`kind is none of ${TENANT_ROW_KINDS.join(", ")}`);
  if (typeof id !== "string") throw noRow("id is not text");
  if (typeof document !== "string") throw noRow("document is not text");
  if (revision === undefined || revision < 1) throw noRow("revision is not a safe integer");
  return { kind, id, revision, document };
}

/** Requires a row that every store can hold. @throws `invalid-argument` */
export function storableTenantRow(row: TenantRow): TenantRow {
  storablePlace(row);
  requireDocument(row, MAX_DOCUMENT_BYTES);
  return row;
}

function storablePlace({ kind, id }: TenantPlace): void {
  if (!TENANT_ROW_KINDS.includes(kind)) throw invalidArgument(`kind is none of ${TENANT_ROW_KINDS.join(", ")}`);
  if (typeof id !== "string" || !ROW_ID.test(id)) throw invalidArgument("id is 1 to 160 printable ASCII characters without spaces");
}

const TENANT_ROW_KINDS: readonly TenantRowKind[] = ["tenant", "claim", "canary"];
const ROW_ID = /^[\x21-\x7e]{1,160}$/;
const MAX_DOCUMENT_BYTES = 4096;
