import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Keyring } from "envelock";
import { DataKeys } from "envelock/fields";
import { jobStatus } from "envelock/jobs";
import { postgresJobMigration, postgresJobStore, postgresStore } from "envelock/stores/postgres";
import { AzureEmulator } from "envelock/testing/azure-emulator";
import { Pool } from "pg";
import { type PostgresServer, startPostgres } from "../test/support/postgres-server.ts";
import { median } from "./harness.ts";
import { type FleetMember, keysOf, type MemberFigures, type VaultAccess } from "./jobs-fleet.ts";

/**
 * A rewrap of data keys in PostgreSQL, by one process and by four: with a key in the processes, and with one in an emulated vault that
 * refuses what is above its limit. The rows of all runs are the same.
 */
export async function jobsTable(): Promise<string> {
  const server = await startPostgres();
  const pool = new Pool({ connectionString: server.url, max: 4, idleTimeoutMillis: 0 }); // one that ended in a run would count as the fleet's
  pool.on("error", () => undefined); // the server may end first
  try {
    await postgresStore({ client: pool }).migrate();
    await pool.query(postgresJobMigration());
    return [await localLines(server, pool), await vaultLines(server, pool)].join("\n\n");
  } finally {
    await pool.end();
    await server.stop();
  }
}

/** One and four workers take turns over the same table, and are compared within each turn: a machine that slows down meanwhile slows both. */
async function localLines(server: PostgresServer, pool: Pool): Promise<string> {
  await fill(pool, undefined, LOCAL_ROWS);
  const turns: ReadonlyMap<number, FleetRun>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const turn = new Map<number, FleetRun>();
    for (const workers of round % 2 === 0 ? WORKERS : [...WORKERS].reverse())
      turn.set(workers, await fleetRun({ server, pool, workers, rows: LOCAL_ROWS }));
    turns.push(turn);
  }
  const lines = WORKERS.map((workers) => {
    const own = turns.flatMap((turn) => turn.get(workers) ?? []);
    const of = (figure: (run: FleetRun) => number): number => median(own.map(figure));
    const gain = median(turns.map((turn) => (turn.get(1)?.seconds ?? 0) / (turn.get(workers)?.seconds ?? 1)));
    const waiting = of(({ databaseMs, seconds }) => databaseMs / (seconds * 1000 * workers));
    const cells = [
      `${workers}`,
      of(({ seconds }) => LOCAL_ROWS / seconds).toFixed(0),
      gain.toFixed(2),
      of(({ workerCpuMs }) => workerCpuMs / LOCAL_ROWS).toFixed(3),
      of(({ databaseCpuMs }) => databaseCpuMs / LOCAL_ROWS).toFixed(3),
      percent(of(shareOfDatabase)),
      percent(waiting),
      of(({ seconds, workerCpuMs, databaseCpuMs }) => (workerCpuMs + databaseCpuMs) / (seconds * 1000)).toFixed(2),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    `${LOCAL_ROWS.toLocaleString("en-US")} data keys, a key in the process, work and verification; medians of ${ROUNDS} turns:`,
    "",
    "| workers | rows a second | against one | CPU ms a row, workers | CPU ms a row, database | database's share of CPU | statements in flight, share of a worker's time | cores in use |",
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
}

function shareOfDatabase({ databaseCpuMs, workerCpuMs }: FleetRun): number {
  return databaseCpuMs / (databaseCpuMs + workerCpuMs);
}

async function vaultLines(server: PostgresServer, pool: Pool): Promise<string> {
  const lines: string[] = [];
  for (const workers of WORKERS) {
    let refused = 0;
    await using emulator = await AzureEmulator.start({ hasLimits: true, onRequest: ({ status }) => status === 429 && refused++ });
    for (const name of ["old", "next"]) await emulator.createKey(name, { type: "RSA", bits: 4096 });
    const { credential, tokenResource, allowedHosts, client } = emulator.connection;
    const { token } = await credential.getToken(`${tokenResource}/.default`);
    const keyUrls = { old: emulator.keyUrl("old"), next: emulator.keyUrl("next") };
    const vault = { keyUrls, token, tokenResource, allowedHosts, ca: client.tlsOptions.ca, callsPerSecond: VAULT_CALLS };
    await fill(pool, vault, VAULT_ROWS);
    await new Promise((resolve) => setTimeout(resolve, 10_000)); // the window of the limit, which the writer has filled
    const run = await fleetRun({ server, pool, workers, rows: VAULT_ROWS, vault });
    const [rate, inDatabase] = [VAULT_ROWS / run.seconds, run.databaseMs / (run.seconds * 1000 * workers)];
    lines.push(
      `| ${workers} | ${rate.toFixed(1)} | ${percent(emulator.limits.peak)} | ${refused} | ${percent(shareOfDatabase(run))} | ${percent(inDatabase)} |`,
    );
  }
  return [
    `${VAULT_ROWS} data keys, RSA 4096 in a vault of ${VAULT_CALLS} operations a second, a budget of 90 % of them:`,
    "",
    "| workers | rows a second | most of the limit in any 10 s, as the vault counts | calls that it refused | database's share of CPU | statements in flight, share of a worker's time |",
    "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
}

interface FleetRun {
  readonly seconds: number;
  readonly databaseMs: number;
  readonly workerCpuMs: number;
  readonly databaseCpuMs: number;
}

let jobs = 0;

async function fleetRun({
  server,
  pool,
  workers,
  rows,
  vault,
}: {
  readonly server: PostgresServer;
  readonly pool: Pool;
  readonly workers: number;
  readonly rows: number;
  readonly vault?: VaultAccess;
}): Promise<FleetRun> {
  await pool.query("truncate envelock_data_keys");
  await pool.query("insert into envelock_data_keys select * from bench_rows");
  await pool.query("analyze envelock_data_keys");
  const id = `bench-${jobs++}`;
  const task: FleetMember = { url: server.url, id, partitions: PARTITIONS, ...(vault && { vault }) };
  const members: Member[] = [];
  for (let worker = 0; worker < workers; worker++) members.push(await startedMember(task));
  const postmaster = await postmasterOf(pool);
  const [beganAt, cpuBefore] = [performance.now(), cpuMsOf(postmaster)];
  for (const { process } of members) process.stdin?.write("go\n");
  const figures = await Promise.all(members.map(figuresOf));
  const seconds = (performance.now() - beganAt) / 1000;
  await Promise.all(members.map(({ exit }) => exit)); // a server's process counts once its connection has ended
  const databaseCpuMs = cpuMsOf(postmaster) - cpuBefore;
  const { state, report } = await jobStatus({ jobs: postgresJobStore({ client: pool }), id });
  if (state !== "done" || report?.keyVersions.some(({ after }) => after !== 0 && after !== rows))
    throw new Error(`the job is ${state}: ${JSON.stringify(report?.keyVersions)}`);
  const sum = (of: (member: MemberFigures) => number): number => figures.reduce((total, member) => total + of(member), 0);
  return { seconds, databaseMs: sum(({ databaseMs }) => databaseMs), workerCpuMs: sum(({ cpuMs }) => cpuMs), databaseCpuMs };
}

interface Member {
  readonly process: ChildProcess;
  readonly lines: Interface;
  readonly exit: Promise<unknown>;
}

async function startedMember(task: FleetMember): Promise<Member> {
  const root = fileURLToPath(new URL("../", import.meta.url));
  const script = fileURLToPath(new URL("jobs-child.ts", import.meta.url));
  const process = spawn(globalThis.process.execPath, ["--import", "tsx", script, JSON.stringify(task)], {
    cwd: root,
    env: { ...globalThis.process.env, TSX_TSCONFIG_PATH: ".config/tsconfig.run.json" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exit = once(process, "exit");
  const lines = createInterface(process.stdout);
  if ((await lineOf({ lines, exit })) !== "ready") throw new Error("a worker did not begin");
  return { process, lines, exit };
}

async function figuresOf(member: Member): Promise<MemberFigures> {
  return JSON.parse(await lineOf(member));
}

/** The next line of a process. @throws Error if it ends first */
async function lineOf({ lines, exit }: Pick<Member, "lines" | "exit">): Promise<string> {
  return await new Promise((resolve, reject) => {
    lines.once("line", resolve);
    exit.then(() => reject(new Error("a worker has ended")), reject);
  });
}

/** Writes rows under the old key, and keeps a copy of them. */
async function fill(pool: Pool, vault: VaultAccess | undefined, rows: number): Promise<void> {
  await pool.query("truncate envelock_data_keys");
  const { old } = keysOf(vault);
  const dataKeys = new DataKeys({ keyring: new Keyring({ wrapWith: [old] }), store: postgresStore({ client: pool }) });
  const numbers = Array.from({ length: rows }, (_, at) => at).values();
  const writer = async (): Promise<void> => {
    for (const at of numbers) await dataKeys.rotate({ tenant: `t${at % 100}`, document: `${at}` });
  };
  await Promise.all(Array.from({ length: vault === undefined ? 8 : 2 }, writer));
  await dataKeys.close();
  await pool.query("drop table if exists bench_rows");
  await pool.query("create table bench_rows as select * from envelock_data_keys");
}

/** The parent of the processes that serve connections. */
async function postmasterOf(pool: Pool): Promise<number> {
  const { rows } = await pool.query("select pg_backend_pid() as pid");
  return statOf(rows[0].pid)[PARENT] ?? 0;
}

/** The CPU time of a process and of its children that have ended. */
function cpuMsOf(pid: number): number {
  return statOf(pid)
    .slice(TIMES, TIMES + 4)
    .reduce((sum, ticks) => sum + ticks * MS_PER_TICK, 0);
}

/** The fields of proc(5) behind the name and the state of a process. */
function statOf(pid: number): readonly number[] {
  return (readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1] ?? "").split(" ").slice(1).map(Number);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

const { ENVELOCK_BENCH_JOB_ROWS = "20000", ENVELOCK_BENCH_JOB_ROUNDS = "5" } = process.env;
const LOCAL_ROWS = Number(ENVELOCK_BENCH_JOB_ROWS);
const WORKERS = [1, 4];
const ROUNDS = Number(ENVELOCK_BENCH_JOB_ROUNDS);
const PARTITIONS = 16;
const VAULT_ROWS = 200;
/** 500 operations of RSA 4096 in 10 seconds: the limit of a vault in the documentation of Azure. */
const VAULT_CALLS = 50;
const PARENT = 0;
const TIMES = 10;
const MS_PER_TICK = 10;
