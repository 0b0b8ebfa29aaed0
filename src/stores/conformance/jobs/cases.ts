import type { JobRow, JobRowKind, JobStore } from "../../../core/contracts/job-store.ts";
import {
  ALIKE_ENDS,
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
import { type Bench, newJobRow } from "./bench.ts";
import { FREE, leaseCases } from "./lease-cases.ts";

export function jobCases(): readonly DocumentCase<Bench>[] {
  const checks = new DocumentChecks(JOBS);
  const names = { lookalikes: "ids that look alike, jobs and kinds are apart", list: "a list gives each row of a job once, by id" };
  return documentCases<JobStore, JobRow, Bench>(checks, names, leaseCases(checks));
}

const JOBS: DocumentKind<JobStore, JobRow> = {
  fields: ["kind", "job", "id", "revision", "document"],
  newRow: newJobRow,
  rival: ({ job, id }) => newJobRow({ job, id }),
  changed: ({ kind, job, id, revision }) => ({ kind, job, id, revision: revision + 1, document: newDocument() }),
  extremes: () => [
    newJobRow(),
    newJobRow({ kind: "job", job: "", revision: 2 ** 31 - 1 }),
    newJobRow({ kind: "plan", document: `"${"é".repeat(1_048_575)}"` }), // 2 MiB
    newJobRow({ kind: "failure", id: `${newId()}${ODD_CHARACTERS}${"x".repeat(1536)}`, job: `${newId()}${"j".repeat(96)}` }),
    newJobRow({ kind: "budget", document: ODD_DOCUMENT }),
  ],
  lookalikes() {
    const start = newId();
    const [jobs, ids] = [ALIKE_ENDS, ALIKE_ENDS.slice(0, 2)].map((ends) => ends.map((end) => `${start}${end}`));
    const kinds: readonly JobRowKind[] = ["job", "plan", "partition", "failure", "budget"];
    return kinds.flatMap((kind) => (jobs ?? []).flatMap((job) => (ids ?? []).map((id) => newJobRow({ kind, job, id }))));
  },
  listing() {
    const job = newId();
    return {
      rows: ORDERED_ENDS.map((end) => newJobRow({ job, id: `x${end}` })),
      others: [newJobRow({ kind: "failure", job, id: "xB" }), newJobRow({ id: "xB" })],
      page: (store, after, limit) => store.list({ kind: "partition", job, after: after?.id, limit }),
      isOwn: () => true,
    };
  },
  listNear: (store, { kind, job, id }, options) => store.list({ kind, job, after: id.slice(0, -1), limit: 1000 }, options),
  swap: (store, row, expectedRevision, options) => store.compareAndSwap(row, expectedRevision, FREE, options),
};
