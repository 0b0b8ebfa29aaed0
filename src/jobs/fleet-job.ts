import type { Clock } from "../core/base/clock.ts";
import { invalidArgument } from "../core/base/errors.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { Ledger } from "./ledger.ts";
import { JobRows } from "./rows.ts";
import type { JobWork } from "./work.ts";

/** The parts of a job in this process. */
export interface FleetParts {
  readonly rows: JobRows;
  readonly ledger: Ledger;
  readonly work: JobWork;
  readonly clock: Clock;
  /** The KEK versions that new data keys of this process name. */
  readonly target: readonly string[] | null;
}

let partsIn: (job: FleetJob) => FleetParts;

/** A job as a process works on it: made by `planRewrap`, `planRewrapBlobs` or `planReencrypt`, and given to `runPartitions` or to an engine. */
export class FleetJob {
  /** The store of the job, for `jobStatus` and the like. */
  readonly jobs: JobStore;
  readonly id: string;
  /** The name and the version of the work. */
  readonly kind: string;
  readonly #parts: FleetParts;

  static {
    partsIn = (job) => job.#parts;
  }

  constructor(jobs: JobStore, id: string, parts: Pick<FleetParts, "work" | "clock" | "target">) {
    this.jobs = jobs;
    this.id = id;
    this.kind = parts.work.kind;
    this.#parts = { ...parts, rows: new JobRows(jobs, id), ledger: new Ledger(jobs, id) };
  }
}

/** @throws `invalid-argument` for what is no job of this copy of the package */
export function partsOf(job: FleetJob): FleetParts {
  if (!(job instanceof FleetJob))
    throw invalidArgument(
      "job must be what planRewrap, planRewrapBlobs or planReencrypt gave",
      "Plan it again: a plan that is there is taken up.",
    );
  return partsIn(job);
}
