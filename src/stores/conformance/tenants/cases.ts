import type { TenantRow, TenantStore } from "../../../core/contracts/tenant-store.ts";
import {
  ALIKE_ENDS,
  type DocumentBench,
  type DocumentCase,
  DocumentChecks,
  type DocumentKind,
  documentCases,
  newDocument,
  newId,
  ODD_CHARACTERS,
  ODD_DOCUMENT,
  ORDERED_ENDS,
} from "../document-cases.ts";
import { newTenantRow } from "./bench.ts";

export function tenantCases(): readonly DocumentCase<DocumentBench<TenantStore>>[] {
  return documentCases(new DocumentChecks(TENANTS), {
    lookalikes: "ids that look alike, and kinds, are apart",
    list: "a list gives each row of a kind once, by id",
  });
}

const TENANTS: DocumentKind<TenantStore, TenantRow> = {
  fields: ["kind", "id", "revision", "document"],
  newRow: newTenantRow,
  rival: ({ id }) => newTenantRow({ id }),
  changed: (row) => ({ ...row, revision: row.revision + 1, document: newDocument() }),
  extremes: () => [
    newTenantRow(),
    newTenantRow({ kind: "claim", revision: 2 ** 31 - 1 }),
    newTenantRow({ kind: "canary", document: `"${"é".repeat(2047)}"` }), // 4,096 bytes
    newTenantRow({ id: `${newId()}${ODD_CHARACTERS}${"x".repeat(95)}` }),
    newTenantRow({ document: ODD_DOCUMENT }),
  ],
  lookalikes() {
    const start = newId();
    const kinds = ["tenant", "claim", "canary"] as const;
    return kinds.flatMap((kind) => ALIKE_ENDS.map((end) => newTenantRow({ kind, id: `${start}${end}` })));
  },
  listing() {
    const start = newId(); // sorts behind every row of another case, or before it
    return {
      rows: ORDERED_ENDS.map((end) => newTenantRow({ id: `${start}${end}` })),
      others: [newTenantRow({ kind: "claim", id: `${start}B` })],
      page: (store, after, limit) => store.list({ kind: "tenant", after: after?.id ?? start, limit }),
      isOwn: ({ id }) => id.startsWith(start),
    };
  },
  listNear: (store, { kind, id }, options) => store.list({ kind, after: id.slice(0, -1), limit: 1000 }, options), // sorts before it, and behind every id that does
  swap: (store, row, expectedRevision, options) => store.compareAndSwap(row, expectedRevision, options),
};
