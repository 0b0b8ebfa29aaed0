import { envelopeContests } from "./envelope.ts";
import { fieldTokenContests } from "./field-token.ts";
import { type Contest, type Row, runContest, tableOf } from "./harness.ts";

// npm run bench [-- name ...]: every suite, or those named

const SUITES: Readonly<Record<string, () => readonly Contest[]>> = {
  "field-token": fieldTokenContests,
  envelope: envelopeContests,
};

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(name in SUITES));
if (unknown.length > 0) {
  console.error(`no such suite: ${unknown.join(", ")}; there are ${Object.keys(SUITES).join(", ")}`);
  process.exit(2);
}

const rows: Row[] = [];
for (const [name, contests] of Object.entries(SUITES)) {
  if (named.length > 0 && !named.includes(name)) continue;
  for (const contest of contests()) rows.push(...(await runContest(contest)));
}
console.log(tableOf(rows));
