import { EnvelockError } from "../../core/base/errors.ts";
import { sleep } from "../../core/base/wait.ts";
import type { Keyring } from "../../core/keyring/keyring.ts";
import type { DataKeys } from "../../fields/data-keys.ts";
import type { KeyRowFailure } from "../../fields/jobs/key-rows.ts";
import type { Residents } from "../access/residents.ts";
import type { AuditQueue } from "../audit/audit-queue.ts";
import type { TenantChanges } from "../changes.ts";
import type { TenantChange } from "../life-cycle/change.ts";
import type { TenantRecords } from "../record/records.ts";
import type { TenantMove, TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import { type MovedEnvelopes, moveEnvelopes } from "./envelopes.ts";
import type { MoveOptions } from "./move-options.ts";

/** Where a move stands when `move` returns. */
export interface MoveReport {
  readonly record: TenantRecord;
  /** `retired` once the old key may be taken away. */
  readonly step: TenantMove["step"];
  /** Data keys that this call wrapped anew. */
  readonly rewrapped: number;
  /** Data keys of this tenant that could not be moved, which hold back the next step. */
  readonly failed: number;
  /** The first hundred of them, and of rows without a readable scope, which hold back nothing. */
  readonly failures: readonly KeyRowFailure[];
  /** The envelopes outside of the key table. Undefined if this call did not look at them: any number may name an old key. */
  readonly envelopes: MovedEnvelopes | undefined;
  /** The time until the next step may begin, if the call did not wait. */
  readonly waitMs: number;
}

export interface MoverParts {
  readonly policy: TenantsPolicy;
  readonly residents: Residents;
  readonly changes: TenantChanges;
  readonly audit: AuditQueue;
  readonly records: TenantRecords;
  dataKeysOf(id: string): Promise<DataKeys>;
  keyringOf(id: string): Promise<Keyring>;
}

/**
 * Moves the data keys of a tenant from its old keys to the staged one. Each step is one change of the record. A crash at any point leaves
 * records that open, and a later call goes on from the step that stands.
 */
export class TenantMover {
  readonly #parts: MoverParts;
  /** When this process met the step that a tenant waits at, by its monotonic clock. */
  readonly #met = new Map<string, { readonly step: string; readonly atMs: number }>();

  constructor(parts: MoverParts) {
    this.#parts = parts;
  }

  /** The time in which every process has seen a change of keys, and closed the keyrings of before. */
  get announceMs(): number {
    return 2 * this.#parts.policy.refreshMs;
  }

  /**
   * Goes on with a move from where it stands, to `retired`.
   *
   * @throws `invalid-argument` without a verified staged key, and in a state that forbids it; what store and keys throw
   */
  async move(id: string, options: MoveOptions): Promise<MoveReport> {
    let rewrapped = 0;
    let envelopes: MovedEnvelopes | undefined;
    let record = await this.#begin(id, options);
    for (;;) {
      const { move } = record;
      if (move === null) {
        this.#met.delete(id);
        throw new EnvelockError("unavailable", `the move of tenant ${id} was ended by another process`, { whose: "vendor" });
      }
      const report = { record, step: move.step, rewrapped, failed: 0, failures: [], envelopes, waitMs: 0 };
      switch (move.step) {
        case "dual":
        case "announced": {
          const waitMs = await this.#waitMs(id, move, options);
          if (waitMs > 0 && options.wait === false) return { ...report, waitMs };
          if (waitMs > 0) await sleep(this.#parts.policy.clock, waitMs, options.signal);
          if (move.step === "dual") {
            record = await this.#step(id, "announce", move, options);
            break;
          }
          const pass = await this.#rewrap(record, options);
          rewrapped += pass.rewrapped;
          if (pass.failed > 0) return { ...report, ...pass, rewrapped };
          envelopes = await this.#envelopes(record, envelopes, options);
          if (isHeldBack(envelopes)) return { ...report, rewrapped, envelopes };
          record = await this.#step(id, "rewrapped", move, options);
          break;
        }
        case "rewrapped": {
          const pass = await this.#rewrap(record, options); // keys that came in under the old one meanwhile
          rewrapped += pass.rewrapped;
          const proof = pass.failed > 0 ? pass : await this.#prove(record, options);
          if (proof.failed > 0) return { ...report, ...proof, rewrapped };
          envelopes = await this.#envelopes(record, envelopes, options);
          if (isHeldBack(envelopes)) return { ...report, rewrapped, envelopes };
          record = await this.#step(id, "proved", move, options);
          break;
        }
        case "proved":
          record = await this.#parts.changes.makeOf(
            id,
            (standing) =>
              standing.move?.step === "proved" && standing.move.to === move.to ? { change: "retire", force: false } : undefined,
            options,
          );
          break;
        case "retired":
          this.#met.delete(id);
          return { ...report, envelopes: envelopes ?? (await this.#envelopes(record, undefined, options)) };
      }
    }
  }

  /**
   * The time until every process knows the step. It counts from when this process met the step: clocks that differ shorten it by nothing, and
   * one that was set prolongs it by nothing. A call that does not wait, in a process that has not met the step before, such as one at a shell,
   * has only the date in the record to go by. That is the store's, if it tells one.
   */
  async #waitMs(id: string, { to, step, sinceMs }: TenantMove, { wait, signal }: MoveOptions): Promise<number> {
    const { policy, records } = this.#parts;
    const nowMs = policy.clock.monotonicMs();
    const name = `${to} ${step} ${sinceMs}`;
    const before = this.#met.get(id);
    const met = before?.step === name ? before : { step: name, atMs: nowMs };
    this.#met.set(id, met);
    const leftMs = met.atMs + this.announceMs - nowMs;
    if (met === before || wait !== false) return leftMs;
    return Math.min(leftMs, sinceMs + this.announceMs - (await records.nowMs(signal && { signal })));
  }

  async #begin(id: string, options: MoveOptions): Promise<TenantRecord> {
    const begin = ({ move }: TenantRecord): TenantChange | undefined => (move === null ? { change: "begin-move" } : undefined);
    return await this.#parts.changes.makeOf(id, begin, options);
  }

  /** Notes a step, unless another process has noted it or a later one. */
  async #step(id: string, change: "announce" | "rewrapped" | "proved", from: TenantMove, options: MoveOptions): Promise<TenantRecord> {
    return await this.#parts.changes.makeOf(
      id,
      ({ move }) => (move !== null && move.to === from.to && move.step === from.step ? { change } : undefined),
      options,
    );
  }

  async #rewrap(record: TenantRecord, options: MoveOptions): Promise<Pass> {
    const dataKeys = await this.#dataKeys(record);
    const { rewrapped, failed, unplaced, failures } = await dataKeys.rewrapAll(this.#jobOptions(record, options));
    return { rewrapped, failed: failed - unplaced, failures };
  }

  /** Goes over what the caller keeps outside of the key table, if it gave a way to. */
  async #envelopes(
    record: TenantRecord,
    before: MovedEnvelopes | undefined,
    { envelopes, signal }: MoveOptions,
  ): Promise<MovedEnvelopes | undefined> {
    if (envelopes === undefined) return undefined;
    this.#parts.residents.note(record);
    const keyring = await this.#parts.keyringOf(record.id);
    return await moveEnvelopes(envelopes(keyring, signal === undefined ? {} : { signal }), before, signal);
  }

  /** Opens every data key, and looks for one that still names an old key. */
  async #prove(record: TenantRecord, options: MoveOptions): Promise<Pass> {
    const dataKeys = await this.#dataKeys(record);
    const { failed, unplaced, failures } = await dataKeys.verifyAll(this.#jobOptions(record, options));
    if (failed > unplaced) return { rewrapped: 0, failed: failed - unplaced, failures };
    const { stale, ...rest } = await dataKeys.rewrapAll({ ...this.#jobOptions(record, options), dryRun: true });
    return { rewrapped: 0, failed: stale + rest.failed - rest.unplaced, failures: rest.failures };
  }

  async #dataKeys(record: TenantRecord): Promise<DataKeys> {
    this.#parts.residents.note(record);
    return await this.#parts.dataKeysOf(record.id);
  }

  #jobOptions({ id, epoch, generation }: TenantRecord, { signal, concurrency, onProgress }: MoveOptions): JobSettings {
    const { audit, policy } = this.#parts;
    return {
      ...(signal !== undefined && { signal }),
      ...(concurrency !== undefined && { concurrency }),
      onProgress: ({ rows, failed }) => {
        audit.emit(id, { type: "tenant.rewrap-progress", tenant: id, epoch, generation, atMs: policy.clock.unixMs(), rows, failed });
        return onProgress?.({ rows, failed });
      },
    };
  }
}

function isHeldBack(envelopes: MovedEnvelopes | undefined): boolean {
  return envelopes !== undefined && envelopes.failed > 0;
}

type Pass = Pick<MoveReport, "rewrapped" | "failed" | "failures">;

interface JobSettings {
  readonly signal?: AbortSignal;
  readonly concurrency?: number;
  readonly onProgress: (progress: { readonly rows: number; readonly failed: number }) => unknown;
}
