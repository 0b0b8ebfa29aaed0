import { toBase64Url, utf8 } from "../../core/base/bytes.ts";
import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { jsonIn } from "../../core/base/json.ts";
import type { TenantKeyRef } from "../../core/contracts/tenant-keys.ts";
import type { TenantRow, TenantStore } from "../../core/contracts/tenant-store.ts";
import { PLATFORM_KEY, type StagedKey } from "../life-cycle/change.ts";
import { broken, Fields } from "../record/fields.ts";
import type { TenantRecords } from "../record/records.ts";
import { readRow } from "../record/rows.ts";
import type { TenantKey, TenantRecord } from "../record/tenant-record.ts";
import { identityOf, type TenantKeyOpeners } from "./openers.ts";

/** The tenant that a key belongs to. */
export interface KeyClaim {
  readonly tenant: string;
  readonly epoch: number;
  /** Whether the tenant lets others use the key. */
  readonly shareable: boolean;
}

/**
 * Which key belongs to which tenant. A claim is a row named by a hash of the key's kind and name, so that two tenants that claim one key at
 * the same time meet in one compare-and-swap.
 */
export class KeyClaims {
  readonly #store: TenantStore;
  readonly #records: TenantRecords;
  readonly #openers: TenantKeyOpeners;

  constructor(store: TenantStore, records: TenantRecords, openers: TenantKeyOpeners) {
    this.#store = store;
    this.#records = records;
    this.#openers = openers;
  }

  /** Claims a described key for the tenant of a record. @throws as `TenantKeyOpeners.acceptOf` and `claim` */
  async claimKey(key: StagedKey, record: TenantRecord, options?: CallOptions): Promise<void> {
    const { name } = this.#openers.acceptOf(key, record);
    await this.claim(key.kind, name, { tenant: record.id, epoch: record.epoch, shareable: key.shareable }, options);
  }

  /**
   * Claims a key for a tenant. Claiming it again does nothing.
   *
   * @param kind the kind of key service
   * @param name the one spelling of the key's name
   * @throws `access-denied`, detail `key-taken`, if another tenant has it and both do not share it
   */
  async claim(kind: string, name: string, own: KeyClaim, options?: CallOptions): Promise<void> {
    const id = await claimId(kind, name);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const row = await readRow(this.#store, { kind: "claim", id }, options);
      if (row === undefined) {
        if (await this.#store.insertIfAbsent(claimRow(id, 1, own), options)) return;
        continue;
      }
      const held = claimIn(row);
      if (isOf(held, own) && held.shareable === own.shareable) return;
      const isFree = isOf(held, own) || !(await this.#isHeld(held, kind, name, options));
      if (!isFree && held.shareable && own.shareable) return;
      if (!isFree) throw taken(kind);
      if (await this.#store.compareAndSwap(claimRow(id, row.revision + 1, own), row.revision, options)) return;
    }
    throw new EnvelockError("unavailable", "the claim on this key is changed by other processes again and again", { whose: "vendor" });
  }

  /** Requires that the key still belongs to this tenant, at each use. @throws as `claim` */
  async require(kind: string, name: string, own: KeyClaim, options?: CallOptions): Promise<void> {
    const row = await readRow(this.#store, { kind: "claim", id: await claimId(kind, name) }, options);
    const held = row && claimIn(row);
    if (held !== undefined && (isOf(held, own) || (held.shareable && own.shareable))) return;
    throw taken(kind);
  }

  /**
   * Requires that a key is another than those that wrap for the tenant: the old key of a move may be taken away.
   *
   * @throws `invalid-argument`
   */
  requireOther(key: StagedKey, record: TenantRecord): void {
    const name = this.#nameOf(key, record);
    if (name === undefined) return; // claiming it says why
    const isSame = record.keys.some((own) => own.role === "wrap" && own.kind === key.kind && this.#nameOf(own, record) === name);
    if (!isSame) return;
    const hint = "A new version of a key needs no move: `rewrapAll` wraps with the newest. A move leads to another key.";
    throw invalidArgument(`tenant ${record.id} is under this key already`, hint);
  }

  /** Whether a key is this tenant's alone, and the vendor still allows it. @throws what the store throws */
  async isOwn(key: TenantKey, record: TenantRecord, options?: CallOptions): Promise<boolean> {
    if (key.shareable) return false;
    try {
      const { name } = this.#openers.accept(key, identityOf(record));
      await this.require(key.kind, name, { tenant: record.id, epoch: record.epoch, shareable: false }, options);
      return true;
    } catch (error) {
      if (EnvelockError.is(error) && (error.code === "access-denied" || error.code === "invalid-argument")) return false;
      throw error;
    }
  }

  /** The name of a key, undefined if the vendor does not allow it any more. */
  #nameOf(key: TenantKeyRef, record: TenantRecord): string | undefined {
    if (key.kind === PLATFORM_KEY.kind) return key.key;
    try {
      return this.#openers.accept(key, identityOf(record)).name;
    } catch {
      return undefined;
    }
  }

  /** Whether the tenant of a claim still has the key. A description that cannot be read any more counts as this key. */
  async #isHeld({ tenant, epoch }: KeyClaim, kind: string, name: string, options?: CallOptions): Promise<boolean> {
    const record = await this.#records.read(tenant, options);
    if (record === undefined || record.epoch !== epoch || record.state === "shredded") return false;
    const identity = identityOf(record);
    return [...record.keys, ...(record.staged === null ? [] : [record.staged])].some((key) => {
      if (key.kind !== kind) return false;
      try {
        return this.#openers.accept(key, identity).name === name;
      } catch {
        return true;
      }
    });
  }
}

function taken(kind: string): EnvelockError {
  return new EnvelockError("access-denied", `this key of ${kind} belongs to another tenant`, {
    detail: "key-taken",
    whose: "tenant",
    hint: "Use a key that no other tenant uses, or stage it as `shareable` for both.",
  });
}

async function claimId(kind: string, name: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", utf8(`${kind}\n${name}`));
  return `${kind}:${toBase64Url(new Uint8Array(digest))}`;
}

function claimRow(id: string, revision: number, { tenant, epoch, shareable }: KeyClaim): TenantRow {
  return { kind: "claim", id, revision, document: JSON.stringify({ format: FORMAT, tenant, epoch, shareable }) };
}

function claimIn({ document }: TenantRow): KeyClaim {
  const fields = new Fields(jsonIn(document), "a claim");
  if (fields.take("format") !== FORMAT) throw broken(`the format of a claim is not ${FORMAT}`);
  const claim = { tenant: fields.text("tenant", 128), epoch: fields.integer("epoch", 1), shareable: fields.boolean("shareable") };
  fields.end();
  return claim;
}

function isOf(held: KeyClaim, own: KeyClaim): boolean {
  return held.tenant === own.tenant && held.epoch === own.epoch;
}

const FORMAT = "envelock-claim/1";
const MOST_ATTEMPTS = 10;
