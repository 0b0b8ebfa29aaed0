import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import type { TenantKeyRef } from "../../core/contracts/tenant-keys.ts";
import { MOST_KEYS } from "../record/document.ts";
import type { Settings } from "../record/settings.ts";
import type { TenantHealth, TenantKey, TenantMove, TenantPolicy, TenantRecord, TenantVerification } from "../record/tenant-record.ts";
import { ruleFor, statesFor, type TenantChangeName } from "./table.ts";

/** A change of a record with what it needs. */
export type TenantChange =
  | {
      readonly change: "invite";
      readonly id: string;
      readonly externalId: string;
      readonly identity: Settings;
      readonly policy: TenantPolicy;
    }
  | { readonly change: "stage"; readonly key: StagedKey; readonly identity: Settings | undefined }
  | {
      readonly change: "verify";
      readonly verification: TenantVerification;
      /** Null if the key does not end; undefined leaves what an earlier verification found. */
      readonly notAfterMs: number | null | undefined;
    }
  | { readonly change: "set-policy"; readonly policy: TenantPolicy }
  | { readonly change: "degrade" | "recover" | "restore"; readonly health: TenantHealth }
  | { readonly change: "revoke"; readonly health: TenantHealth | undefined }
  | { readonly change: "retire"; readonly force: boolean }
  | {
      readonly change: Exclude<
        TenantChangeName,
        "invite" | "stage" | "verify" | "set-policy" | "degrade" | "recover" | "restore" | "revoke" | "retire"
      >;
    };

/** A key before it has a number. */
export interface StagedKey extends TenantKeyRef {
  readonly createdByUs: boolean;
  readonly shareable: boolean;
  readonly label?: string;
}

/** The key of the vendor, in place of one that the tenant brings. */
export const PLATFORM_KEY: TenantKeyRef = { kind: "platform", key: "platform" };

/**
 * Applies a change to a record. Pure: the same arguments give the same record.
 *
 * @param record undefined for an id without a record
 * @param atMs milliseconds since 1970
 * @throws `key-shredded` for a tenant that is gone; `invalid-argument` if the life cycle does not allow the change, or it lacks something
 */
export function changedRecord(record: TenantRecord | undefined, change: TenantChange, atMs: number): TenantRecord {
  const rule = ruleFor(change.change, record?.state ?? "none");
  if (change.change === "invite") {
    if (rule === undefined) throw notAllowed(record, change.change);
    return invited(record, change, atMs);
  }
  if (record === undefined) throw new EnvelockError("key-not-found", "there is no such tenant", { hint: "`invite` makes its record" });
  if (rule === undefined) throw notAllowed(record, change.change);
  const state = rule.to === "same" ? record.state : rule.to;
  return {
    ...record,
    ...parts(record, change, atMs),
    revision: record.revision + 1,
    state,
    sinceMs: state === record.state ? record.sinceMs : atMs,
    generation: record.generation + (rule.isGeneration ? 1 : 0),
  };
}

function invited(
  gone: TenantRecord | undefined,
  { id, externalId, identity, policy }: Extract<TenantChange, { change: "invite" }>,
  atMs: number,
): TenantRecord {
  return {
    id,
    epoch: (gone?.epoch ?? 0) + 1,
    revision: (gone?.revision ?? 0) + 1,
    state: "invited",
    sinceMs: atMs,
    generation: gone?.generation ?? 0,
    externalId,
    identity,
    keys: [],
    staged: null,
    move: null,
    policy,
    verification: null,
    health: null,
    nextKey: 1,
  };
}

function parts(record: TenantRecord, change: Exclude<TenantChange, { change: "invite" }>, atMs: number): Partial<TenantRecord> {
  switch (change.change) {
    case "stage":
      return staged(record, change.key, change.identity, atMs);
    case "unstage":
      requireStaged(record);
      return { staged: null };
    case "verify":
      return verified(record, change.verification, change.notAfterMs);
    case "activate":
      return activated(record, atMs);
    case "set-policy":
      return { policy: change.policy };
    case "degrade":
    case "recover":
    case "restore":
      return { health: change.health };
    case "revoke":
      return { health: change.health ?? null }; // without one the tenant asked for it, and no key has refused
    case "begin-move":
      return moveBegun(record, atMs);
    case "announce":
      return announced(record, atMs);
    case "rewrapped":
      return atStep(record, ["announced", "rewrapped", "proved"], "rewrapped", atMs);
    case "proved":
      return atStep(record, ["rewrapped", "proved"], "proved", atMs);
    case "retire":
      return atStep(record, change.force ? ["announced", "rewrapped", "proved"] : ["proved"], "retired", atMs);
    case "forget":
      return forgotten(record);
    case "cancel-move":
      return cancelled(record);
    case "shred":
      return { keys: [], staged: null, move: null, identity: {}, verification: null, health: null };
    case "suspend":
    case "offboard":
      return {};
  }
}

function staged(
  record: TenantRecord,
  { settings = {}, ...key }: StagedKey,
  identity: Settings | undefined,
  atMs: number,
): Partial<TenantRecord> {
  if (record.move !== null) throw invalidArgument(`tenant ${record.id} moves to another key already`, "Finish or cancel that move first.");
  if (identity !== undefined && record.keys.length > 0) {
    throw invalidArgument(
      `the identity of tenant ${record.id} cannot change while keys depend on it`,
      "Move to the platform's key first, or put what differs into the settings of the key.",
    );
  }
  const number = record.nextKey;
  const times = { addedAtMs: atMs, verifiedAtMs: null, notAfterMs: null };
  const next: TenantKey = { ...key, settings, number, role: "wrap", ...times };
  return { staged: next, nextKey: number + 1, ...(identity !== undefined && { identity }) };
}

function verified(record: TenantRecord, verification: TenantVerification, given: number | null | undefined): Partial<TenantRecord> {
  const notAfterMs = given === undefined || given === null ? given : Math.max(0, Math.floor(given));
  const mark = (key: TenantKey): TenantKey =>
    key.number === verification.key
      ? {
          ...key,
          notAfterMs: notAfterMs === undefined ? key.notAfterMs : notAfterMs,
          verifiedAtMs: verification.level === "failed" ? null : verification.atMs,
        }
      : key;
  return { verification, keys: record.keys.map(mark), staged: record.staged && mark(record.staged) };
}

function activated(record: TenantRecord, atMs: number): Partial<TenantRecord> {
  if (record.staged !== null) return { keys: [requireVerified(record, record.staged)], staged: null };
  const times = { addedAtMs: atMs, verifiedAtMs: atMs, notAfterMs: null };
  const platform: TenantKey = {
    ...PLATFORM_KEY,
    settings: {},
    number: record.nextKey,
    role: "wrap",
    ...times,
    createdByUs: false,
    shareable: true,
  };
  return { keys: [platform], nextKey: record.nextKey + 1 };
}

function moveBegun(record: TenantRecord, atMs: number): Partial<TenantRecord> {
  const to = requireVerified(record, requireStaged(record));
  if (record.keys.length >= MOST_KEYS)
    throw invalidArgument(`tenant ${record.id} has ${MOST_KEYS} keys already`, "Finish an earlier move with `forget`.");
  const from = record.keys.filter(({ role }) => role === "wrap").map(({ number }) => number);
  return { keys: [...record.keys, to], staged: null, move: { from, to: to.number, step: "dual", sinceMs: atMs } };
}

/** A step of a move may be noted again: then it begins anew. */
function atStep(
  record: TenantRecord,
  before: readonly TenantMove["step"][],
  step: TenantMove["step"],
  atMs: number,
): Partial<TenantRecord> {
  const move = requireMove(record);
  if (!before.includes(move.step)) throw wrongStep(record, move, step);
  return { move: { ...move, step, sinceMs: atMs } };
}

function announced(record: TenantRecord, atMs: number): Partial<TenantRecord> {
  const { from } = requireMove(record);
  const keys = withRole(record, from, "unwrap");
  return { keys, ...atStep(record, ["dual"], "announced", atMs) };
}

function forgotten(record: TenantRecord): Partial<TenantRecord> {
  const move = requireMove(record);
  if (move.step !== "retired") throw wrongStep(record, move, "forgotten");
  return { keys: record.keys.filter(({ number }) => number === move.to), move: null }; // the pass before `retire` found no record that names another
}

/** Records may name the new key by now, so it still opens. */
function cancelled(record: TenantRecord): Partial<TenantRecord> {
  const move = requireMove(record);
  if (move.step === "retired") throw wrongStep(record, move, "cancelled");
  const keys = withRole({ ...record, keys: withRole(record, move.from, "wrap") }, [move.to], "unwrap");
  return { keys, move: null };
}

function withRole({ keys }: TenantRecord, numbers: readonly number[], role: TenantKey["role"]): readonly TenantKey[] {
  return keys.map((key) => (numbers.includes(key.number) ? { ...key, role } : key));
}

function requireStaged(record: TenantRecord): TenantKey {
  if (record.staged !== null) return record.staged;
  throw invalidArgument(`tenant ${record.id} has no staged key`, "`stage` describes the key to move to.");
}

function requireVerified({ id, generation, verification }: TenantRecord, key: TenantKey): TenantKey {
  const isVerified = key.kind === PLATFORM_KEY.kind || (verification?.key === key.number && verification.generation === generation);
  if (isVerified && (key.kind === PLATFORM_KEY.kind || key.verifiedAtMs !== null)) return key;
  throw invalidArgument(`key ${key.number} of tenant ${id} is not verified`, "Run `verify`, and mend what it finds.");
}

function requireMove(record: TenantRecord): TenantMove {
  if (record.move !== null) return record.move;
  throw invalidArgument(`tenant ${record.id} moves to no other key`, "`stage` and `verify` a key, then `move`.");
}

function wrongStep({ id }: TenantRecord, { step }: TenantMove, wanted: string): EnvelockError {
  const hint =
    wanted === "retired"
      ? "Records may still name the old key alone: run `move`, which goes on from where it stands, or retire with `force` if that data may be lost."
      : "`move` goes on from where it stands.";
  return invalidArgument(`the move of tenant ${id} stands at "${step}": it cannot be ${wanted} now`, hint);
}

function notAllowed(record: TenantRecord | undefined, change: TenantChangeName): EnvelockError {
  const allowed = statesFor(change).map((state) => (state === "none" ? "not known" : state));
  const hint = `\`${change}\` is allowed while a tenant is ${allowed.join(", ")}`;
  if (record?.state === "shredded") return new EnvelockError("key-shredded", `tenant ${record.id} was shredded`, { hint });
  return invalidArgument(`tenant ${record?.id} is ${record?.state}: \`${change}\` is not allowed`, hint);
}
