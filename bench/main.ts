import { blobTable } from "./blobs.ts";
import { s3BlobTable } from "./blobs-s3.ts";
import { compareTable } from "./compare.ts";
import { engineStreamTable } from "./engine-streams.ts";
import { engineRowsTable, enginesTable, insertTables } from "./engines.ts";
import { entrySizeTable } from "./entry-size.ts";
import { envelopeContests } from "./envelope.ts";
import { fieldContests, overheadTable } from "./field.ts";
import { insertTable } from "./field-insert.ts";
import { fieldTokenContests } from "./field-token.ts";
import { type Contest, runContest, tableOf } from "./harness.ts";
import { headerContests } from "./header.ts";
import { importTable } from "./import.ts";
import { jobsTable } from "./jobs.ts";
import { keyServiceTable } from "./key-services.ts";
import { describeMachine, withStolenTime } from "./machine.ts";
import { pkcs11Tables } from "./pkcs11.ts";
import { providerCallTable, resilienceContests } from "./resilience.ts";
import { streamTable } from "./stream.ts";
import { streamsAtOnceTable } from "./streams-at-once.ts";
import { tenantsTable } from "./tenants.ts";
import { fairnessTable } from "./tenants-fairness.ts";
import { timingTable } from "./timing.ts";

// npm run bench [-- name ...]: the suites of SUITES, or those named. npm run bench -- compare REV: against the build of a commit

const SUITES: Readonly<Record<string, () => string | Promise<string>>> = {
  "field-token": () => timed(fieldTokenContests()),
  field: async () => `${await timed(await fieldContests())}\n\n${await overheadTable()}`,
  "field-insert": insertTable,
  envelope: () => timed(envelopeContests()),
  header: () => timed(headerContests()),
  resilience: async () => `${await timed(await resilienceContests())}\n\n${await providerCallTable()}`,
  "key-services": keyServiceTable,
  pkcs11: pkcs11Tables,
  import: importTable,
  "entry-size": entrySizeTable,
  stream: () => streamTable(),
  "streams-at-once": streamsAtOnceTable,
  blobs: blobTable,
  "blobs-s3": s3BlobTable,
  tenants: () => tenantsTable(),
  timing: timingTable,
};

/** The suites that run only where they are named. */
const NAMED: typeof SUITES = {
  engines: enginesTable,
  "engine-rows": engineRowsTable,
  "engine-inserts": insertTables,
  "engine-streams": () => engineStreamTable(),
  "tenants-fairness": () => fairnessTable(),
  jobs: () => jobsTable(),
};

async function timed(contests: readonly Contest[]): Promise<string> {
  const rows = [];
  for (const contest of contests) rows.push(...(await runContest(contest)));
  return tableOf(rows);
}

const named = process.argv.slice(2);
const [first, rev] = named;
if (first === "compare" && rev !== undefined) {
  console.log(`${describeMachine()}\n\n## now against ${rev}\n\n${await withStolenTime(() => compareTable(rev))}`);
  process.exit();
}

const all = { ...SUITES, ...NAMED };
const unknown = named.filter((name) => !(name in all));
if (unknown.length > 0) {
  console.error(`no such suite: ${unknown.join(", ")}; there are ${Object.keys(all).join(", ")}, and compare REV`);
  process.exit(2);
}

console.log(describeMachine());
for (const [name, run] of Object.entries(all)) {
  if (named.length === 0 ? name in SUITES : named.includes(name)) console.log(`\n## ${name}\n\n${await withStolenTime(run)}`);
}
