import { check } from "../../core/contracts/conformance-checks.ts";
import { type Bench, type Case, checkStands, insert, MAX_PROOF_BYTES, MAX_RECORD_BYTES, newRecord, newRow, newScope } from "./bench.ts";

/** Cases of rows: a row that goes in comes out unchanged, and nothing else does. */
export function rowCases(): readonly Case[] {
  return [
    { name: "a row comes back as it went in", run: keepsRows },
    { name: "the largest values fit", run: keepsLargeValues },
    { name: "what is not there is not found", run: findsNothing },
    { name: "a kid is looked for in its scope alone", run: staysInScope },
    { name: "scopes are told apart to the letter", run: tellsScopesApart },
    { name: "other store objects see it at once", run: isSeenByOthers },
    { name: "rows that went in and came out belong to the caller", run: copiesRows },
  ];
}

async function keepsRows({ open }: Bench): Promise<void> {
  const store = await open();
  const scope = newScope();
  const rows = [
    newRow(scope, { version: 1, state: "retired", revision: 4, proof: null }),
    newRow(scope, { version: 2, state: "shredded", record: null, revision: 2 }),
    newRow(scope, { version: 3, record: Uint8Array.from({ length: 256 }, (_, byte) => byte) }),
  ];
  for (const row of rows) await insert(store, row);
  for (const row of rows) await checkStands(store, row, "after the insert");
  check((await store.list(scope)).length === rows.length, "list must give every version of a scope");
}

async function keepsLargeValues({ open }: Bench): Promise<void> {
  const store = await open();
  const scope = newScope().padEnd(MAX_SCOPE_CHARACTERS, "A");
  const large = newRow(scope, {
    version: 2 ** 31 - 1,
    revision: 2 ** 31 - 1,
    createdAtMs: 2 ** 53 - 1,
    record: newRecord(MAX_RECORD_BYTES),
    proof: newRecord(MAX_PROOF_BYTES),
  });
  await insert(store, large);
  await checkStands(store, large, "of the largest values");
}

async function findsNothing({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newRow(newScope());
  check((await store.byKid(row.scope, row.kid)) === undefined, "byKid must give undefined in a scope without rows");
  check((await store.list(row.scope)).length === 0, "list must be empty in a scope without rows");
  await insert(store, row);
  check((await store.byKid(row.scope, newRow(row.scope).kid)) === undefined, "byKid must give undefined for a kid that is not there");
}

/** The same kid in two scopes: a row that an attacker copied. A caller in one scope must not be given the other's. */
async function staysInScope({ open }: Bench): Promise<void> {
  const store = await open();
  const own = newRow(newScope());
  const copied = { ...own, scope: newScope(), createdAtMs: own.createdAtMs + 1 };
  check((await store.byKid(copied.scope, own.kid)) === undefined, "byKid must look in the scope that it is told");
  await insert(store, copied);
  check((await store.byKid(own.scope, own.kid)) === undefined, "byKid must not give the row of another scope");
  await insert(store, own);
  for (const row of [own, copied]) await checkStands(store, row, "of a kid that two scopes have");
}

async function tellsScopesApart({ open }: Bench): Promise<void> {
  const store = await open();
  const start = newScope();
  const scopes = [`${start}a`, `${start}A`, `${start}a-`, `${start}a_`, `${start}aa`, ""];
  const rows = scopes.map((scope) => newRow(scope, scope === "" ? { version: freeVersion() } : {}));
  for (const row of rows) await insert(store, row);
  for (const row of rows) await checkStands(store, row, "of scopes that look alike");
}

/** The empty scope, which all cases and runs share. */
function freeVersion(): number {
  return 1 + ((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) >>> 2);
}

async function isSeenByOthers({ open }: Bench): Promise<void> {
  const [one, other] = [await open(), await open()];
  const row = newRow(newScope());
  check((await other.list(row.scope)).length === 0, "list must be empty before the insert");
  await insert(one, row);
  await checkStands(other, row, "of another store object after the insert");
  const changed = { ...row, state: "retired", revision: 2 } as const;
  check(await one.compareAndSwap(changed, 1), "compareAndSwap must say true when the revision fits");
  await checkStands(other, changed, "of another store object after the change");
}

async function copiesRows({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newRow(newScope());
  const handed = { ...row, record: newRecord(0) };
  handed.record = Uint8Array.from(row.record ?? []);
  await insert(store, handed);
  handed.record.fill(0);
  await checkStands(store, row, "after the caller changed what it had handed in");
  for (const given of [await store.byKid(row.scope, row.kid), ...(await store.list(row.scope))]) given?.record?.fill(0);
  await checkStands(store, row, "after the caller changed what it was given");
}

const MAX_SCOPE_CHARACTERS = 1366;
