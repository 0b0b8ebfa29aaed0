import type { Clock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument, isDeliberateRefusal } from "../../src/core/base/errors.ts";
import { type KeyArn, parseKeyArn } from "./arn.ts";
import type { AwsConnection } from "./connection.ts";

/** A replica of a multi-region key, and how its region is reached. */
export interface AwsReplica {
  readonly keyArn: string;
  /** Another origin than the region's own, such as that of a VPC endpoint in it. */
  readonly endpoint?: string;
}

/** @throws `invalid-argument` unless all are the same multi-region key in other regions */
export function checkedReplicas(key: KeyArn, replicas: unknown): readonly (readonly [key: KeyArn, endpoint: string | undefined])[] {
  if (!Array.isArray(replicas)) throw invalidArgument("replicas is a list of ARNs, or of { keyArn, endpoint }");
  return replicas.map((replica: string | AwsReplica) => {
    const { keyArn, endpoint } = typeof replica === "object" && replica !== null ? replica : { keyArn: replica, endpoint: undefined };
    const parsed = parseKeyArn("a replica", keyArn);
    const { partition, account, id } = parsed;
    if (!id.startsWith("mrk-") || id !== key.id || account !== key.account || partition !== key.partition)
      throw invalidArgument("a replica has partition, account and id of keyArn, which begins with mrk-, and another region");
    return [parsed, endpoint];
  });
}

/** One key in the regions where it may be called. */
export class Regions {
  /** The nearest first. */
  readonly #all: readonly [AwsConnection, ...AwsConnection[]];
  readonly #clock: Clock;
  /** When each region that had an accident is called first again. */
  readonly #awayUntilMs: Map<AwsConnection, number> = new Map();

  constructor(nearest: AwsConnection, others: readonly AwsConnection[], clock: Clock) {
    this.#all = [nearest, ...others];
    this.#clock = clock;
  }

  /**
   * Calls the nearest region, and where that has an accident the next one. A region that had one comes last for half a minute. What a
   * replica refuses says nothing of the key: its policy and state are its own.
   *
   * @param signal the one that `work` heeds: once it has aborted, no further region could answer, and none is called
   * @throws what the nearest region's call throws; what a replica's call throws otherwise; the signal's reason
   */
  async run<T>(signal: AbortSignal | undefined, work: (connection: AwsConnection) => Promise<T>): Promise<T> {
    if (this.#all.length === 1) return await work(this.#all[0]);
    const nowMs = this.#clock.monotonicMs();
    const isAway = (connection: AwsConnection): boolean => (this.#awayUntilMs.get(connection) ?? 0) > nowMs;
    const all = this.#all;
    const [nearest] = all;
    let failure: unknown;
    const inOrder = [...all.filter((one) => !isAway(one)), ...all.filter(isAway)];
    for (const connection of inOrder) {
      const begunMs = this.#clock.monotonicMs();
      try {
        return await work(connection);
      } catch (error) {
        const isAccident = EnvelockError.is(error) && (error.code === "unavailable" || error.code === "timeout");
        const endedMs = this.#clock.monotonicMs();
        // the time of all may be up just after a later region was asked
        const hadItsTime = signal?.aborted !== true || connection === inOrder[0] || endedMs - begunMs >= LEAST_HUNG_MS;
        if (isAccident && hadItsTime) this.#awayUntilMs.set(connection, endedMs + AWAY_MS);
        if (!isAccident && (connection === nearest || !isDeliberateRefusal(error))) throw error;
        signal?.throwIfAborted();
        if (connection === nearest || failure === undefined) failure = error;
      }
    }
    throw failure;
  }
}

const AWAY_MS = 30_000;
const LEAST_HUNG_MS = 1000;
