import type { JobPage, JobPlace, JobRow, JobStore, LeasedJobRow } from "../../src/core/contracts/job-store.ts";
import { memoryJobStore } from "../../src/jobs/stores/memory.ts";
import { jobStoreConformance } from "../../src/stores/conformance/index.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { type DocumentTable, documentMutants, type Mutant } from "./mutants/document-mutants.ts";
import { testMutants } from "./mutants/test-mutants.ts";

type JobTable = DocumentTable<JobPlace, JobRow, LeasedJobRow, JobPage>;

const COMMON_MUTANTS = documentMutants<JobPlace, JobRow, LeasedJobRow, JobPage>({
  lookalikes: "ids that look alike, jobs and kinds are apart",
  list: "a list gives each row of a job once, by id",
  nameOf: ({ kind, job, id }) => `${kind} ${job} ${id}`,
  invented: (place) => ({ ...place, revision: 1, document: "{}", leaseMs: 0 }),
  lowered: (row) => ({ ...row, job: row.job.toLowerCase() }),
});

const LEASE_MUTANTS: readonly Mutant<JobStore>[] = [
  {
    fault: "tells a lease in seconds",
    noticedBy: "a new row is free, and one with a lease tells what is left of it",
    change: (sound) => ({
      async get(place, options) {
        const row = await sound.get(place, options);
        return row && { ...row, leaseMs: row.leaseMs / 1000 };
      },
    }),
  },
  {
    fault: "forgets that the row must be free",
    noticedBy: "a row with a lease is refused to a change that needs it free",
    change: (sound) => ({
      compareAndSwap: (row, revision, { leaseMs }, options) => sound.compareAndSwap(row, revision, { leaseMs }, options),
    }),
  },
  {
    fault: "always wants the row free",
    noticedBy: "a holder changes its own row under its lease",
    change: (sound) => ({
      compareAndSwap: (row, revision, { leaseMs }, options) => sound.compareAndSwap(row, revision, { leaseMs, onlyIfFree: true }, options),
    }),
  },
  {
    fault: "never shortens a lease",
    noticedBy: "a change without a lease sets the row free",
    change: (sound) => ({
      async compareAndSwap(row, revision, { leaseMs, ...lease }, options) {
        const left = (await sound.get(row, options))?.leaseMs ?? 0;
        return await sound.compareAndSwap(row, revision, { ...lease, leaseMs: Math.max(left, leaseMs) }, options);
      },
    }),
  },
  {
    fault: "never ends a lease",
    noticedBy: "a lease that is over holds nothing",
    change: (sound) => ({
      compareAndSwap: (row, revision, { leaseMs, ...lease }, options) =>
        sound.compareAndSwap(row, revision, { ...lease, leaseMs: leaseMs * 1e9 }, options),
    }),
  },
  {
    fault: "gives a lease to each that asks in time",
    noticedBy: "of many that want a free row one gets it",
    change: (sound) => ({
      async compareAndSwap(row, revision, lease, options) {
        if ((await sound.get(row, options))?.leaseMs !== 0) return false;
        await sound.compareAndSwap(row, revision, lease);
        return true;
      },
    }),
  },
];

testMutants("jobs", [...COMMON_MUTANTS.map(ofJobs), ...LEASE_MUTANTS], (change = () => ({})) => {
  const clock = fakeClock();
  const [sound, shared] = [memoryJobStore({ clock }), { isClosed: false }];
  return jobStoreConformance({ open: () => ({ ...sound, ...change(sound, shared) }), pass: (ms) => clock.advanceNow(ms) });
});

/** A mutant of a store whose changes also carry a lease, which the fault leaves alone. */
function ofJobs({ change, ...mutant }: Mutant<JobTable>): Mutant<JobStore> {
  return {
    ...mutant,
    change(sound, shared) {
      const under = (lease: Parameters<JobStore["compareAndSwap"]>[2]): JobTable => {
        const table = {
          ...sound,
          compareAndSwap: (row: JobRow, revision: number, options?: object) => sound.compareAndSwap(row, revision, lease, options),
        };
        return { ...table, ...change(table, shared) };
      };
      const { compareAndSwap: _, ...rest } = under({ leaseMs: 0 });
      return { ...rest, compareAndSwap: (row, revision, lease, options) => under(lease).compareAndSwap(row, revision, options) };
    },
  };
}
