import { expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { JobStore, LeasedJobRow } from "../../src/core/contracts/job-store.ts";
import { memoryJobStore } from "../../src/jobs/stores/memory.ts";
import { type JobStoreConformanceHarness, jobStoreConformance } from "../../src/stores/conformance/index.ts";
import { fakeClock } from "../support/fake-clock.ts";

/** A sound store with one fault, and the case that is there to notice it. */
interface Mutant {
  readonly fault: string;
  readonly noticedBy: string;
  /** What replaces parts of the sound store; called for each store object that a case opens. */
  change(sound: JobStore, shared: { isClosed: boolean }): Partial<JobStore>;
}

const MUTANTS: readonly Mutant[] = [
  {
    fault: "drops what is not ASCII",
    noticedBy: "a row comes back as it was stored",
    change: (sound) => ({
      insertIfAbsent: (row, options) => sound.insertIfAbsent({ ...row, document: row.document.replace(/[^\x20-\x7e]/g, "") }, options),
    }),
  },
  {
    fault: "gives a row of another place for one that is missing",
    noticedBy: "what is not there is undefined",
    change: (sound) => ({
      get: async (place, options) => (await sound.get(place, options)) ?? { ...place, revision: 1, document: "{}", leaseMs: 0 },
    }),
  },
  {
    fault: "replaces what is there",
    noticedBy: "a place that is taken is refused",
    change: (sound) => ({
      async insertIfAbsent(row, options) {
        const taken = await sound.get(row, options);
        return taken === undefined ? await sound.insertIfAbsent(row, options) : await sound.compareAndSwap(row, taken.revision, FREE);
      },
    }),
  },
  {
    fault: "does not tell capitals apart",
    noticedBy: "ids that look alike, jobs and kinds are apart",
    change: (sound) => ({ insertIfAbsent: (row, options) => sound.insertIfAbsent({ ...row, job: row.job.toLowerCase() }, options) }),
  },
  {
    fault: "keeps the old document",
    noticedBy: "a change replaces document and revision",
    change: (sound) => ({
      async compareAndSwap(row, revision, lease, options) {
        const before = await sound.get(row, options);
        return before !== undefined && (await sound.compareAndSwap({ ...row, document: before.document }, revision, lease, options));
      },
    }),
  },
  {
    fault: "takes every older revision for the same",
    noticedBy: "a change on another revision is refused",
    change: (sound) => ({
      async compareAndSwap(row, revision, lease, options) {
        const before = await sound.get(row, options);
        return before !== undefined && revision <= before.revision && (await sound.compareAndSwap(row, before.revision, lease));
      },
    }),
  },
  {
    fault: "inserts what it cannot change",
    noticedBy: "a change of nothing makes nothing",
    change: (sound) => ({
      compareAndSwap: async (row, revision, lease, options) =>
        (await sound.compareAndSwap(row, revision, lease, options)) ||
        ((await sound.get(row)) === undefined && (await sound.insertIfAbsent(row))),
    }),
  },
  {
    fault: "lists in the order of an alphabet",
    noticedBy: "a list gives each row of a job once, by id",
    change: (sound) => ({
      async list({ kind, job, after, limit }) {
        const rows = await sound.list({ kind, job, limit: Number.POSITIVE_INFINITY });
        const inOrder = [...rows].sort((a, b) => a.id.localeCompare(b.id, "en"));
        return inOrder.filter(({ id }) => after === undefined || id.localeCompare(after, "en") > 0).slice(0, limit);
      },
    }),
  },
  {
    fault: "gives one row too few",
    noticedBy: "a page has as many rows as it may",
    change: (sound) => ({ list: async (page, options) => (await sound.list(page, options)).slice(0, Math.max(1, page.limit - 1)) }),
  },
  {
    fault: "keeps to itself what it read",
    noticedBy: "other store objects see it at once",
    change(sound) {
      const read = new Map<string, LeasedJobRow | undefined>();
      return {
        async get(place, options) {
          const name = `${place.kind} ${place.job} ${place.id}`;
          if (!read.has(name)) read.set(name, await sound.get(place, options));
          return read.get(name);
        },
      };
    },
  },
  {
    fault: "says of every insert that it won",
    noticedBy: "of many inserts of one place one wins",
    change: (sound) => ({
      async insertIfAbsent(row, options) {
        const isTaken = (await sound.get(row, options)) !== undefined;
        await sound.insertIfAbsent(row, options);
        return !isTaken;
      },
    }),
  },
  {
    fault: "looks at the revision and then changes",
    noticedBy: "of many changes of one revision one wins",
    change: (sound) => ({
      async compareAndSwap(row, revision, lease, options) {
        if ((await sound.get(row, options))?.revision !== revision) return false;
        await sound.compareAndSwap(row, revision, lease);
        return true;
      },
    }),
  },
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
  {
    fault: "inserts in spite of the signal",
    noticedBy: "an aborted signal stops it before anything is done",
    change: (sound) => ({ insertIfAbsent: (row) => sound.insertIfAbsent(row) }),
  },
  {
    fault: "closes the others too",
    noticedBy: "close twice is fine, and leaves others open",
    change: (sound, shared) => ({
      async get(place, options) {
        if (shared.isClosed) throw new EnvelockError("closed", "the store was closed");
        return await sound.get(place, options);
      },
      async close() {
        shared.isClosed = true;
      },
    }),
  },
];

const FREE = { leaseMs: 0 } as const;
const SOUND = jobStoreConformance(harnessOf());

for (const { name, run } of SOUND) test(`the memory store of jobs: ${name}`, run);

for (const { fault, noticedBy, change } of MUTANTS) {
  test(`${noticedBy}: a store of jobs that ${fault} is refused`, async () => {
    const found = jobStoreConformance(harnessOf(change)).find(({ name }) => name === noticedBy);
    await expect(found?.run()).rejects.toBeInstanceOf(EnvelockError);
  });
}

test("each case is there for at least one mutant", () => {
  const needed = new Set(MUTANTS.map(({ noticedBy }) => noticedBy));
  expect(SOUND.map(({ name }) => name).filter((name) => !needed.has(name))).toEqual([]);
});

/** A harness of sound store objects on one table in memory, or of mutants of them. */
function harnessOf(change: Mutant["change"] = () => ({})): JobStoreConformanceHarness {
  const clock = fakeClock();
  const sound = memoryJobStore({ clock });
  const shared = { isClosed: false };
  return { open: () => ({ ...sound, ...change(sound, shared) }), pass: (ms) => clock.advanceNow(ms) };
}
