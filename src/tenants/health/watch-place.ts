import { jsonIn } from "../../core/base/json.ts";
import type { TenantStore } from "../../core/contracts/tenant-store.ts";
import { broken, Fields } from "../record/fields.ts";
import { readRow } from "../record/rows.ts";
import { isTenantId } from "../record/tenant-id.ts";

/**
 * Where the round of canaries over all tenants stands, in the store: with very many tenants a round takes longer than a process lives, and
 * those at the end would never have their turn.
 */
export class WatchPlace {
  readonly #store: TenantStore;

  constructor(store: TenantStore) {
    this.#store = store;
  }

  /** @returns the tenant behind which the round goes on; undefined for the beginning. @throws what the store throws */
  async read(): Promise<string | undefined> {
    const row = await readRow(this.#store, PLACE);
    if (row === undefined) return undefined;
    const fields = new Fields(jsonIn(row.document), "the place of a watch");
    if (fields.take("format") !== FORMAT) throw broken(`the format of the place of a watch is not ${FORMAT}`);
    const after = fields.take("after");
    fields.end();
    return isTenantId(after) ? after : undefined;
  }

  /** Keeps the place. A race with another process is left to that one. @throws what the store throws */
  async keep(after: string | undefined): Promise<void> {
    const standing = await readRow(this.#store, PLACE);
    const row = { ...PLACE, revision: (standing?.revision ?? 0) + 1, document: JSON.stringify({ format: FORMAT, after: after ?? null }) };
    if (standing !== undefined) await this.#store.compareAndSwap(row, standing.revision);
    else if (after !== undefined) await this.#store.insertIfAbsent(row);
  }
}

/** Beside the canaries, which have numbers in this place. */
const PLACE = { kind: "canary", id: "watch" } as const;
const FORMAT = "envelock-watch/1";
