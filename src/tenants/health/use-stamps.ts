import { jsonIn } from "../../core/base/json.ts";
import type { TenantPlace, TenantRow, TenantStore } from "../../core/contracts/tenant-store.ts";
import { PLATFORM_KEY } from "../life-cycle/change.ts";
import { broken, Fields } from "../record/fields.ts";
import { readPage, readRow } from "../record/rows.ts";
import type { TenantRecord } from "../record/tenant-record.ts";

/**
 * Notes in the store which tenants have traffic, for the process that sends canaries: it may serve none of them itself. A stamp is written
 * once in six hours for each tenant, by whichever process comes first.
 */
export class UseStamps {
  readonly #store: TenantStore;

  constructor(store: TenantStore) {
    this.#store = store;
  }

  /** Notes that a tenant with a key of its own is in use. A race with another process is left to that one. @throws what the store throws */
  async note(record: TenantRecord, nowMs: number): Promise<void> {
    if (record.keys.every(({ kind }) => kind === PLATFORM_KEY.kind)) return;
    const place = placeOf(record.id);
    const standing = await readRow(this.#store, place);
    // a stamp of a clock that was ahead counts no longer than any other
    if (standing !== undefined && Math.abs(nowMs - usedAtMsIn(standing)) < STAMP_EVERY_S * 1000) return;
    const document = JSON.stringify({ format: FORMAT, usedAtMs: Math.floor(nowMs) });
    if (standing === undefined) await this.#store.insertIfAbsent({ ...place, revision: 1, document });
    else await this.#store.compareAndSwap({ ...place, revision: standing.revision + 1, document }, standing.revision);
  }

  /**
   * Lists stamps by the id of the tenant. One that cannot be read counts as an old one.
   *
   * @param after the tenant behind which the page begins
   * @throws what the store throws
   */
  async list(after: string | undefined, limit: number): Promise<readonly UseStamp[]> {
    const rows = await readPage(this.#store, { kind: "canary", after: `${PREFIX}${after ?? ""}`, limit });
    return rows
      .filter(({ id }) => id.startsWith(PREFIX))
      .map((row) => ({ tenant: row.id.slice(PREFIX.length), usedAtMs: readableAtMs(row) }));
  }

  /** When a tenant was last noted to be in use, in milliseconds since 1970. Undefined if never. @throws what the store throws */
  async usedAtMs(id: string): Promise<number | undefined> {
    const row = await readRow(this.#store, placeOf(id));
    return row && usedAtMsIn(row);
  }
}

/** Beside the canaries, which have numbers in this place. */
function placeOf(id: string): TenantPlace {
  return { kind: "canary", id: `${PREFIX}${id}` };
}

function readableAtMs(row: TenantRow): number {
  try {
    return usedAtMsIn(row);
  } catch {
    return 0;
  }
}

function usedAtMsIn({ document }: TenantRow): number {
  const fields = new Fields(jsonIn(document), "a stamp of use");
  if (fields.take("format") !== FORMAT) throw broken(`the format of a stamp of use is not ${FORMAT}`);
  const usedAtMs = fields.integer("usedAtMs");
  fields.end();
  return usedAtMs;
}

/** A tenant with the time at which it was noted to be in use, in milliseconds since 1970. */
export interface UseStamp {
  readonly tenant: string;
  readonly usedAtMs: number;
}

const PREFIX = "used:";
const FORMAT = "envelock-use/1";
export const STAMP_EVERY_S = 21_600;
