export type { JobLease, JobPage, JobPlace, JobRow, JobRowKind, JobStore, LeasedJobRow } from "../core/contracts/job-store.ts";
export type { BlobWorkOptions } from "./blob-work.ts";
export { integerBounds, uuidBounds } from "./bounds.ts";
export type { ColumnWorkOptions } from "./column-work.ts";
export { cancelJob, pauseJob, resumeJob, retryJob } from "./control.ts";
export { type BullMqOptions, type BullMqQueue, workWithBullMq } from "./engines/bullmq.ts";
export type { EngineFleet, SliceMessage } from "./engines/messages.ts";
export { type PgBossClient, type PgBossOptions, workWithPgBoss } from "./engines/pg-boss.ts";
export type { FleetJob } from "./fleet-job.ts";
export {
  type PlanOptions,
  type PlanReencryptOptions,
  type PlanRewrapBlobsOptions,
  type PlanRewrapOptions,
  planReencrypt,
  planRewrap,
  planRewrapBlobs,
} from "./plan.ts";
export type { JobPhase, JobState } from "./records.ts";
export { isUnchangedReport, type ReportedVersion, type RetirementReport } from "./report.ts";
export type { CallBudget, Verification } from "./rewrap-terms.ts";
export type { RewrapWorkOptions } from "./rewrap-work.ts";
export { type RunOptions, runPartitions } from "./run-partitions.ts";
export type { SliceEnd, SliceOptions } from "./slice.ts";
export { type JobFailure, type JobRef, type JobStatus, type JobSummary, jobStatus, listJobs, type PartitionStatus } from "./status.ts";
export { type MemoryJobStoreOptions, memoryJobStore } from "./stores/memory.ts";
