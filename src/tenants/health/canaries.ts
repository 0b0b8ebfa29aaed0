import { fromBase64Url, toBase64Url } from "../../core/base/bytes.ts";
import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { jsonIn } from "../../core/base/json.ts";
import type { TenantRow, TenantStore } from "../../core/contracts/tenant-store.ts";
import type { Keyring } from "../../core/keyring/keyring.ts";
import { broken, Fields } from "../record/fields.ts";
import { readRow } from "../record/rows.ts";
import type { TenantRecord } from "../record/tenant-record.ts";

/**
 * Data keys that were wrapped once with a key of a tenant and are unwrapped now and then. That costs one call, and tells of a key version
 * that is gone before data under it is asked for.
 */
export class Canaries {
  readonly #store: TenantStore;

  constructor(store: TenantStore) {
    this.#store = store;
  }

  /** Keeps a wrapped data key in place of an older one. @param key the number of the one key that it is wrapped with */
  async keep(record: TenantRecord, key: number, keyRecord: Uint8Array, options: CallOptions = {}): Promise<void> {
    const document = JSON.stringify({ format: FORMAT, epoch: record.epoch, record: toBase64Url(keyRecord) });
    const place = { kind: "canary", id: idOf(record.id, key) } as const;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const standing = await readRow(this.#store, place, options);
      const row: TenantRow = { ...place, revision: (standing?.revision ?? 0) + 1, document };
      const isKept =
        standing === undefined
          ? await this.#store.insertIfAbsent(row, options)
          : await this.#store.compareAndSwap(row, standing.revision, options);
      if (isKept) return;
    }
    throw new EnvelockError("unavailable", `the canary of tenant ${record.id} is changed by other processes again and again`, {
      whose: "vendor",
    });
  }

  /**
   * Unwraps the canary of a key.
   *
   * @returns false if there is none
   * @throws as `Keyring.unwrapDataKey`
   */
  async sing(record: TenantRecord, key: number, keyring: Keyring, options: CallOptions = {}): Promise<boolean> {
    const row = await readRow(this.#store, { kind: "canary", id: idOf(record.id, key) }, options);
    const kept = row && canaryIn(row);
    if (kept === undefined || kept.epoch !== record.epoch) return false;
    (await keyring.unwrapDataKey(kept.keyRecord, options)).destroy();
    return true;
  }
}

function idOf(tenant: string, key: number): string {
  return `${key}:${tenant}`;
}

function canaryIn({ document }: TenantRow): { readonly epoch: number; readonly keyRecord: Uint8Array } {
  const fields = new Fields(jsonIn(document), "a canary");
  if (fields.take("format") !== FORMAT) throw broken(`the format of a canary is not ${FORMAT}`);
  const [epoch, keyRecord] = [fields.integer("epoch", 1), fromBase64Url(fields.text("record", 4096))];
  fields.end();
  if (keyRecord === undefined) throw broken("a canary is no base64url");
  return { epoch, keyRecord };
}

const FORMAT = "envelock-canary/1";
const MOST_ATTEMPTS = 10;
