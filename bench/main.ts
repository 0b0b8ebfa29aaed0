import { blobTable } from "./blobs.ts";
import { entrySizeTable } from "./entry-size.ts";
import { envelopeContests } from "./envelope.ts";
import { fieldContests, overheadTable } from "./field.ts";
import { insertTable } from "./field-insert.ts";
import { fieldTokenContests } from "./field-token.ts";
import { type Contest, runContest, tableOf } from "./harness.ts";
import { headerContests } from "./header.ts";
import { importTable } from "./import.ts";
import { keyServiceTable } from "./key-services.ts";
import { describeMachine, withStolenTime } from "./machine.ts";
import { pkcs11Tables } from "./pkcs11.ts";
import { providerCallTable, resilienceContests } from "./resilience.ts";
import { streamTable } from "./stream.ts";
import { tenantsTable } from "./tenants.ts";
import { timingTable } from "./timing.ts";

// npm run bench [-- name ...]: every suite, or those named

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
  blobs: () => blobTable(),
  tenants: () => tenantsTable(),
  timing: timingTable,
};

async function timed(contests: readonly Contest[]): Promise<string> {
  const rows = [];
  for (const contest of contests) rows.push(...(await runContest(contest)));
  return tableOf(rows);
}

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(name in SUITES));
if (unknown.length > 0) {
  console.error(`no such suite: ${unknown.join(", ")}; there are ${Object.keys(SUITES).join(", ")}`);
  process.exit(2);
}

console.log(describeMachine());
for (const [name, run] of Object.entries(SUITES)) {
  if (named.length === 0 || named.includes(name)) console.log(`\n## ${name}\n\n${await withStolenTime(run)}`);
}
