import { utf8Length } from "../../core/base/bytes.ts";
import { type ErrorCode, invalidArgument } from "../../core/base/errors.ts";
import { jsonIn } from "../../core/base/json.ts";
import type { TenantRow } from "../../core/contracts/tenant-store.ts";
import { broken, Fields } from "./fields.ts";
import { isKeyLabel } from "./key-label.ts";
import { MOST_REGIONS, REGION } from "./policy.ts";
import { settingsOf } from "./settings.ts";
import { isTenantId } from "./tenant-id.ts";
import type {
  TenantHealth,
  TenantKey,
  TenantMove,
  TenantMoveStep,
  TenantPolicy,
  TenantRecord,
  TenantState,
  TenantVerification,
} from "./tenant-record.ts";

/**
 * Writes a record as a row.
 *
 * @throws `invalid-argument` if it takes more than 4,096 bytes
 */
export function encodeTenantRecord({ id, revision, ...rest }: TenantRecord): TenantRow {
  const document = JSON.stringify({ format: FORMAT, ...rest });
  const bytes = utf8Length(document) ?? Number.POSITIVE_INFINITY;
  if (bytes > MAX_DOCUMENT_BYTES) {
    throw invalidArgument(
      `the record of tenant ${id} would take ${bytes} bytes, at most ${MAX_DOCUMENT_BYTES} are allowed`,
      "Forget keys that no data key names any more, or use shorter settings.",
    );
  }
  return { kind: "tenant", id, revision, document };
}

/**
 * Parses the row of a tenant. Strict: a field that this release does not know is refused, because it may change what the record means.
 *
 * @throws `provider-failure` if it is no record of this release
 */
export function parseTenantRecord({ id, revision, document }: TenantRow): TenantRecord {
  const fields = new Fields(jsonIn(document), "it");
  if (fields.take("format") !== FORMAT) throw broken(`its format is not ${FORMAT}`);
  if (!isTenantId(id)) throw broken("its id is none");
  if (!Number.isSafeInteger(revision) || revision < 1) throw broken("its revision is no integer from 1");
  const record: TenantRecord = {
    id,
    epoch: fields.integer("epoch", 1),
    revision,
    state: fields.oneOf("state", TENANT_STATES),
    sinceMs: fields.integer("sinceMs"),
    generation: fields.integer("generation"),
    externalId: fields.text("externalId", 64),
    identity: settings(fields.take("identity")),
    keys: fields.list("keys", MOST_KEYS, keyOf),
    staged: fields.objectOrNull("staged", stagedOf),
    move: fields.objectOrNull("move", moveOf),
    policy: policyOf(new Fields(fields.take("policy"), "policy")),
    verification: fields.objectOrNull("verification", verificationOf),
    health: fields.objectOrNull("health", healthOf),
    nextKey: fields.integer("nextKey", 1),
  };
  fields.end();
  requireSense(record);
  return Object.freeze(record);
}

/** Requires what every change of the life cycle keeps. @throws `provider-failure` */
function requireSense({ keys, staged, move, nextKey, state }: TenantRecord): void {
  const numbers = [...keys, ...(staged === null ? [] : [staged])].map(({ number }) => number);
  if (new Set(numbers).size !== numbers.length || numbers.some((number) => number >= nextKey)) throw broken("its keys have wrong numbers");
  if (move !== null && ![...move.from, move.to].every((number) => keys.some((key) => key.number === number)))
    throw broken("its move names a key that is not there");
  const wraps = keys.some(({ role }) => role === "wrap");
  if (!wraps && (state === "active" || state === "degraded")) throw broken("it is active and has no key that wraps");
}

function keyOf(value: unknown): TenantKey {
  const fields = new Fields(value, "a key");
  const key = stagedOf(fields);
  fields.end();
  return key;
}

function stagedOf(fields: Fields): TenantKey {
  return Object.freeze({
    kind: fields.text("kind", 64),
    key: fields.text("key", 512),
    settings: settings(fields.take("settings")),
    number: fields.integer("number", 1),
    role: fields.oneOf("role", ["wrap", "unwrap"]),
    addedAtMs: fields.integer("addedAtMs"),
    verifiedAtMs: fields.integerOrNull("verifiedAtMs"),
    notAfterMs: fields.integerOrNull("notAfterMs"),
    createdByUs: fields.boolean("createdByUs"),
    shareable: fields.boolean("shareable"),
    ...(fields.has("label") && { label: labelOf(fields.take("label")) }), // absent in older records, and without one
  });
}

function moveOf(fields: Fields): TenantMove {
  return Object.freeze({
    from: fields.list("from", MOST_KEYS, integerOf),
    to: fields.integer("to", 1),
    step: fields.oneOf("step", MOVE_STEPS),
    sinceMs: fields.integer("sinceMs"),
  });
}

function policyOf(fields: Fields): TenantPolicy {
  const policy: TenantPolicy = {
    // four members are absent in older records
    cacheMaxAgeMs: fields.integerOrNull("cacheMaxAgeMs"),
    reuseMaxAgeMs: fields.has("reuseMaxAgeMs") ? fields.integerOrNull("reuseMaxAgeMs") : null,
    autoRestore: fields.boolean("autoRestore"),
    maxConcurrent: fields.has("maxConcurrent") ? fields.integerOrNull("maxConcurrent", 1) : null,
    callsPerSecond: fields.has("callsPerSecond") ? fields.integerOrNull("callsPerSecond", 1) : null,
    regions: fields.has("regions") ? fields.listOrNull("regions", MOST_REGIONS, regionOf) : null,
  };
  fields.end();
  return Object.freeze(policy);
}

function verificationOf(fields: Fields): TenantVerification {
  return Object.freeze({
    atMs: fields.integer("atMs"),
    generation: fields.integer("generation"),
    key: fields.integer("key"),
    level: fields.oneOf("level", ["ok", "warning", "failed"]),
    failed: fields.list("failed", 8, textOf),
  });
}

function healthOf(fields: Fields): TenantHealth {
  return Object.freeze({ atMs: fields.integer("atMs"), outcome: fields.oneOf("outcome", HEALTH_OUTCOMES) });
}

function settings(value: unknown): Readonly<Record<string, string>> {
  try {
    return settingsOf(value, "settings");
  } catch {
    throw broken("its settings are no map of text");
  }
}

function regionOf(value: unknown): string {
  if (typeof value === "string" && REGION.test(value)) return value;
  throw broken("its policy names a region by something other than its name");
}

function labelOf(value: unknown): string {
  if (isKeyLabel(value)) return value;
  throw broken("a key has a label that is none");
}

function integerOf(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  throw broken("it names a key by something other than its number");
}

function textOf(value: unknown): string {
  if (typeof value === "string" && value.length <= 64) return value;
  throw broken("its verification names a check by something other than text");
}

export const TENANT_STATES: readonly TenantState[] = [
  "invited",
  "verifying",
  "active",
  "degraded",
  "suspended",
  "revoked",
  "offboarding",
  "shredded",
];
/** Up to 4 keys that wrap and 12 that unwrap. */
export const MOST_KEYS = 16;
export const HEALTH_OUTCOMES: readonly ("ok" | ErrorCode)[] = [
  "ok",
  "access-denied",
  "authentication-failed",
  "key-disabled",
  "key-not-found",
  "provider-failure",
  "rate-limited",
  "timeout",
  "unavailable",
  "unwrap-rejected",
];
const MOVE_STEPS: readonly TenantMoveStep[] = ["dual", "announced", "rewrapped", "proved", "retired"];
const FORMAT = "envelock-tenant/1";
const MAX_DOCUMENT_BYTES = 4096;
