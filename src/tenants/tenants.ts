import { toBase64Url } from "../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../core/base/call-options.ts";
import type { Context } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { positive } from "../core/resilience/checks.ts";
import type { DataKeys } from "../fields/data-keys.ts";
import type { SkippedScope } from "../fields/jobs/scope-keyrings.ts";
import { noticeOf, type TenantNotice } from "./access/notice.ts";
import { noSuchTenant, stateRefusal } from "./access/states.ts";
import { CHANGE_OPTIONS, type ChangeOptions, changeOptions } from "./changes.ts";
import type { TenantCanary, WatchHealthOptions } from "./health/health-checks.ts";
import type { TenantReport } from "./health/report.ts";
import type { HealthOptions } from "./health/reporter.ts";
import type { VerifyResult } from "./health/verifier.ts";
import { stagedKeyOf, type TenantKeyDescription } from "./keys/staged-key.ts";
import { PLATFORM_KEY, type TenantChange } from "./life-cycle/change.ts";
import { type MoveOptions, moveOptions } from "./moves/move-options.ts";
import type { MoveReport } from "./moves/mover.ts";
import type { ShredReport } from "./moves/shredder.ts";
import { lifeOfContext } from "./record/life.ts";
import { DEFAULT_POLICY, heldMsOf, policyOf } from "./record/policy.ts";
import type { UnreadableTenant } from "./record/records.ts";
import { settingsOf } from "./record/settings.ts";
import { tenantId } from "./record/tenant-id.ts";
import type { TenantPolicy, TenantRecord } from "./record/tenant-record.ts";
import {
  HEALTH_OPTIONS,
  INVITE_OPTIONS,
  type InviteOptions,
  LIST_OPTIONS,
  type ListTenantsOptions,
  RETIRE_OPTIONS,
  type ReportOptions,
  type RetireOptions,
  STAGE_OPTIONS,
  type StageOptions,
  type TenantsStatus,
  WATCH_OPTIONS,
} from "./tenants-calls.ts";
import type { TenantsOptions } from "./tenants-options.ts";
import { type TenantsParts, tenantsParts } from "./tenants-parts.ts";

/**
 * The tenants of a vendor: each under the platform's key or a key of its own, in a life cycle that decides before any call of a key. One
 * object serves a process.
 *
 * Ask for `keyring` or `dataKeys` with each request: that is a look-up. A keyring of an older generation of keys is closed one
 * `refreshMs` after the change.
 *
 * @see docs/tenants.md
 * @example
 * ```ts
 * import type { KeyProvider } from "envelock";
 * import type { DataKeyStore } from "envelock/fields";
 * import { Tenants, type TenantKeyOpener, type TenantStore } from "envelock/tenants";
 *
 * export async function onboard(store: TenantStore, platform: KeyProvider, open: TenantKeyOpener, dataKeyStore: DataKeyStore) {
 *   const tenants = new Tenants({ store, platform: [platform], open, dataKeyStore });
 *   await tenants.invite("acme", { identity: { directory: "…" } });
 *   await tenants.stage("acme", { kind: open.kind, key: "https://acme.vault.example/keys/saas" });
 *   const { level, findings } = await tenants.verify("acme");
 *   if (level === "failed") return findings;
 *   await tenants.activate("acme");
 *   return await (await tenants.keyring("acme")).encryptText("for acme alone");
 * }
 * ```
 */
export class Tenants {
  readonly #parts: TenantsParts;

  /** @throws `invalid-argument` */
  constructor(options: TenantsOptions) {
    this.#parts = tenantsParts(options);
  }

  /**
   * Makes the record of a tenant, with an external id of 32 random characters. A shredded id begins a new life in a new epoch.
   *
   * @returns the record; `externalId` is what the tenant names in the trust of its role
   * @throws `invalid-argument` for a bad id, identity or policy, and for an id that is in use; what the store throws
   */
  async invite(id: string, options: InviteOptions = {}): Promise<TenantRecord> {
    const { identity = {}, policy = {}, ...meta } = changeOptions(options, INVITE_OPTIONS, "Tenants.invite");
    const change: TenantChange = {
      change: "invite",
      id: tenantId(id),
      externalId: toBase64Url(crypto.getRandomValues(new Uint8Array(24))),
      identity: settingsOf(identity, "identity"),
      policy: policyOf(policy, DEFAULT_POLICY),
    };
    return await this.#parts.changes.make(id, () => change, meta);
  }

  /**
   * Describes the first key of a tenant, or the key to move to; `platform` for the vendor's own. The description is checked against what
   * the vendor allows, and the key is claimed for this tenant. No key is called.
   *
   * @throws `invalid-argument` for a description that is none, for the key in use, or in a state that forbids it; `access-denied` for a key
   *   outside of what the vendor allows, a reserved one (detail `key-reserved`), one of another tenant (detail `key-taken`) and one outside of
   *   the regions of the policy (detail `region-not-allowed`); what the store throws
   */
  async stage(id: string, key: TenantKeyDescription | "platform", options: StageOptions = {}): Promise<TenantRecord> {
    const { identity, ...meta } = changeOptions(options, STAGE_OPTIONS, "Tenants.stage");
    const staged = stagedKeyOf(key);
    const given = identity && settingsOf(identity, "identity");
    const call = meta.signal && { signal: meta.signal };
    const record = await this.show(id, call);
    this.#parts.claims.requireOther(staged, record);
    if (staged.kind === PLATFORM_KEY.kind) this.#requirePlatform();
    else await this.#parts.claims.claimKey(staged, { ...record, ...(given !== undefined && { identity: given }) }, call);
    return await this.#parts.changes.makeOf(id, () => ({ change: "stage", key: staged, identity: given }), meta);
  }

  /** Drops the staged key. @throws `invalid-argument` if there is none */
  async unstage(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    return await this.#change(id, { change: "unstage" }, options, "unstage");
  }

  /**
   * Checks the staged key, or else the one in use, with the tenant's own identity, within 15 s. A failed check is a finding and no
   * exception. Persists level and names of failed checks, and a canary.
   *
   * @throws `rate-limited` within ten seconds of the last check of this tenant; `invalid-argument` without a key of its own; what the store
   *   throws
   */
  async verify(id: string, options: ChangeOptions = {}): Promise<VerifyResult> {
    return await this.#parts.verifier.verify(tenantId(id), changeOptions(options, CHANGE_OPTIONS, "Tenants.verify"));
  }

  /** Lets a tenant in, under its verified key, or under the platform's if none is staged. @throws `invalid-argument` without a verification */
  async activate(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    const meta = changeOptions(options, CHANGE_OPTIONS, "Tenants.activate");
    const activate = ({ staged }: TenantRecord): TenantChange => {
      if (staged === null) this.#requirePlatform();
      return { change: "activate" };
    };
    return await this.#parts.changes.makeOf(tenantId(id), activate, meta);
  }

  /**
   * Replaces parts of the policy. It takes effect within `refreshMs`.
   *
   * @throws `invalid-argument` for a policy that is none or that nothing would enforce; `access-denied`, detail `region-not-allowed`, if a key
   *   of the tenant lies outside of the regions
   */
  async setPolicy(id: string, policy: Partial<TenantPolicy>, options: ChangeOptions = {}): Promise<TenantRecord> {
    const meta = changeOptions(options, CHANGE_OPTIONS, "Tenants.setPolicy");
    const { regions } = policyOf(policy, DEFAULT_POLICY);
    const given = { ...policy, ...(regions !== null && { regions }) };
    const next = (record: TenantRecord): TenantChange => {
      const changed = policyOf(given, record.policy);
      if (given.regions !== undefined) this.#parts.policy.openers.requireRegions({ ...record, policy: changed });
      return { change: "set-policy", policy: changed };
    };
    return await this.#parts.changes.makeOf(tenantId(id), next, meta);
  }

  /** Stops a tenant: at once in this process, within `refreshMs` in others, without a call of its key. Doing it again does nothing. */
  async suspend(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    return await this.#changeTo(id, "suspended", { change: "suspend" }, options, "suspend");
  }

  /** Closes a tenant as if its key service had refused: for a tenant that asks for it. Doing it again does nothing. */
  async revoke(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    return await this.#changeTo(id, "revoked", { change: "revoke", health: undefined }, options, "revoke");
  }

  /**
   * Lets a suspended or revoked tenant in again, once the canaries of its own keys open.
   *
   * @throws what the key service answered, with the tenant left as it is
   */
  async restore(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    const meta = changeOptions(options, CHANGE_OPTIONS, "Tenants.restore");
    return await this.#parts.health.restore(await this.show(id, meta.signal && { signal: meta.signal }), meta);
  }

  /** Ends the service for a tenant: its data can be read for an export, and nothing can be written. Doing it again does nothing. */
  async offboard(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    return await this.#changeTo(id, "offboarding", { change: "offboard" }, options, "offboard");
  }

  /**
   * Destroys the data keys of a tenant that is offboarding, and with them its data: in other processes within `refreshMs`. No other tenant
   * is touched. A key is destroyed in its service only if it was staged as `createdByUs` and its opener can. May be run again at any point.
   * Envelopes carry their own data keys: the application deletes those of the tenant.
   *
   * A row that cannot be read is stepped over and listed. The tenant becomes `shredded` once no data key is left that can be read.
   *
   * @returns how many data keys were destroyed, and which rows were not
   * @throws `invalid-argument` in a state that forbids it, and without `dataKeyStore`; what the stores throw
   */
  async shred(id: string, options: ChangeOptions = {}): Promise<ShredReport> {
    return await this.#parts.shredder.shred(tenantId(id), changeOptions(options, CHANGE_OPTIONS, "Tenants.shred"));
  }

  /**
   * Moves a tenant to its staged and verified key, or to the platform's: both wrap, then the new one alone, then every data key of this
   * tenant is wrapped anew and proved, then the old key is retired. Each step is durable. After a crash or a suspension, call it again.
   *
   * @returns where the move stands: `retired`, or a step that failed data keys or the wait hold back
   * @throws `invalid-argument` without a verified staged key, in a state that forbids it, and without `dataKeyStore`; what stores and keys
   *   throw
   */
  async move(id: string, options: MoveOptions = {}): Promise<MoveReport> {
    const given = moveOptions(options);
    if (this.#parts.policy.dataKeyStore === undefined)
      throw invalidArgument("Tenants has no dataKeyStore", "Give the store of data keys to Tenants.");
    return await this.#parts.mover.move(tenantId(id), given);
  }

  /** Goes back to the old keys. Allowed until they are retired. Data keys under the new one still open. */
  async cancelMove(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    return await this.#change(id, { change: "cancel-move" }, options, "cancelMove");
  }

  /** Retires the old keys of a move. `move` does so by itself. @throws `invalid-argument` before the pass that proves it, without `force` */
  async retire(id: string, options: RetireOptions = {}): Promise<TenantRecord> {
    const { force = false, ...meta } = changeOptions(options, RETIRE_OPTIONS, "Tenants.retire");
    if (typeof force !== "boolean") throw invalidArgument("force is true or false");
    return await this.#parts.changes.makeOf(tenantId(id), () => ({ change: "retire", force }), meta);
  }

  /** Removes the retired keys from the record. What still names them elsewhere, such as blobs, opens no more. */
  async forgetKeys(id: string, options: ChangeOptions = {}): Promise<TenantRecord> {
    return await this.#change(id, { change: "forget" }, options, "forgetKeys");
  }

  /**
   * Returns the keyring of a tenant, bound to it by the pair `tenant` of the key context. `Tenants` closes it.
   *
   * @throws `access-denied` with a detail such as `tenant-suspended`, `key-shredded` and `key-not-found`, without a call of any key; what
   *   store and openers throw
   */
  async keyring(id: string, options: CallOptions = {}): Promise<Keyring> {
    const signal = callSignal(options, CALL_OPTIONS, "Tenants.keyring");
    return (await this.#parts.residents.open(tenantId(id), "read", signal && { signal })).keyring;
  }

  /** Returns the data keys of a tenant. `Tenants` closes them. @throws as `keyring`, and `invalid-argument` without `dataKeyStore` */
  async dataKeys(id: string, options: CallOptions = {}): Promise<DataKeys> {
    const signal = callSignal(options, CALL_OPTIONS, "Tenants.dataKeys");
    const resident = await this.#parts.residents.open(tenantId(id), "read", signal && { signal });
    return resident.dataKeys(this.#parts.policy, heldMsOf(resident.record, this.#parts.policy));
  }

  /**
   * Answers `keyringOf` of jobs over the data keys of all tenants. A tenant that may not write now is skipped, and holds up no other.
   *
   * @param scope as a job gives it
   * @throws what the store and the openers throw
   */
  async keyringOf(scope: Context): Promise<Keyring | SkippedScope> {
    const life = lifeOfContext(scope ?? {});
    if (life === undefined) return { skip: "no tenant" };
    const { id } = life;
    const record = await this.#parts.residents.read(id);
    if (record === undefined) return { skip: "tenant unknown" };
    if (life.epoch !== record.epoch) return { skip: "tenant of another epoch" };
    const refusal = stateRefusal(id, record.state, "write");
    return refusal === undefined ? (await this.#parts.residents.open(id, "write")).jobKeyring : { skip: refusal.detail ?? refusal.code };
  }

  /**
   * Takes note that another process has changed a tenant: reads its record again at once, and not only within `refreshMs`. Give it what
   * `onEvent` told there, sent over a bus of the application. The notice decides nothing by itself: the record in the store does. A notice that
   * is lost costs the wait for the refresh, a false one costs two reads of the store.
   *
   * @param notice a `TenantChangeEvent`, also as JSON gives it back
   * @returns whether the store was read: not for a tenant that this process does not know, nor for a revision that it knows
   * @throws `invalid-argument` for what is no notice; what the store throws
   */
  async refresh(notice: TenantNotice, options: CallOptions = {}): Promise<boolean> {
    const signal = callSignal(options, CALL_OPTIONS, "Tenants.refresh");
    return await this.#parts.residents.heed(noticeOf(notice), signal && { signal });
  }

  /** Returns the record of a tenant. @throws `key-not-found` if there is none; what the store throws */
  async show(id: string, options: CallOptions = {}): Promise<TenantRecord> {
    const signal = callSignal(options, CALL_OPTIONS, "Tenants.show");
    const record = await this.#parts.residents.read(tenantId(id), signal && { signal });
    if (record === undefined) throw noSuchTenant(id);
    return record;
  }

  /** Lists all tenants by id. A record that cannot be read comes as its id and the error, and hides no other. @throws what the store throws */
  async *list(options: ListTenantsOptions = {}): AsyncGenerator<TenantRecord | UnreadableTenant, void, undefined> {
    const signal = callSignal(options, LIST_OPTIONS, "Tenants.list");
    if (options.after !== undefined && typeof options.after !== "string") throw invalidArgument("after is the id of a tenant");
    yield* this.#parts.records.all(options.after, signal && { signal });
  }

  /**
   * Reports the health of all tenants by id, without a call of any key. A record that cannot be read comes as its id and the error.
   *
   * @throws `invalid-argument` for bad options; what the stores throw
   */
  async *health(options: ReportOptions = {}): AsyncGenerator<TenantReport | UnreadableTenant, void, undefined> {
    const signal = callSignal(options, { ...LIST_OPTIONS, ...HEALTH_OPTIONS }, "Tenants.health");
    const { after } = options;
    const counts = await this.#parts.reporter.counts(options);
    const listed = this.list({ ...(after !== undefined && { after }), ...(signal !== undefined && { signal }) });
    for await (const record of listed) yield "error" in record ? record : this.#parts.reporter.report(record, counts);
  }

  /** Reports the health of one tenant, without a call of its key. @throws as `health`, and `key-not-found` */
  async healthOf(id: string, options: HealthOptions = {}): Promise<TenantReport> {
    const signal = callSignal(options, HEALTH_OPTIONS, "Tenants.healthOf");
    const given = { ...options };
    const record = await this.show(id, signal && { signal });
    return this.#parts.reporter.report(record, await this.#parts.reporter.counts(given, record));
  }

  /** Unwraps the canaries of a tenant now. Refusals count as in traffic. @returns none for a tenant under the platform's keys */
  async checkHealth(id: string, options: CallOptions = {}): Promise<readonly TenantCanary[]> {
    return await this.#parts.health.check(await this.show(id, options), options.signal);
  }

  /**
   * Unwraps canaries on a schedule until the signal is aborted. Run it in one process. Tenants with traffic come first, and within the
   * budget each tenant has its turn, however many there are.
   *
   * @throws `invalid-argument` for bad options, and nothing later
   */
  async watchHealth(options: WatchHealthOptions): Promise<void> {
    const signal = callSignal(options, WATCH_OPTIONS, "Tenants.watchHealth");
    const { perSecond = 28, everyMs = 60_000 } = options;
    if (signal === undefined) throw invalidArgument("watchHealth needs a signal", "Abort it to end the watch.");
    await this.#parts.health.watch({ signal, perSecond: positive(perSecond, "perSecond"), everyMs: positive(everyMs, "everyMs") });
  }

  /** The number of tenants with a keyring in memory, of tenants known, and of events dropped. */
  get status(): TenantsStatus {
    return { resident: this.#parts.residents.size, known: this.#parts.residents.known.size, droppedEvents: this.#parts.audit.dropped() };
  }

  /** Closes every keyring and wipes what is kept. Later calls throw `closed`. Stores, caches of the caller and platform keys stay open. */
  async close(): Promise<void> {
    this.#parts.residents.close();
  }

  async #change(id: string, change: TenantChange, options: ChangeOptions, what: string): Promise<TenantRecord> {
    const meta = changeOptions(options, CHANGE_OPTIONS, `Tenants.${what}`);
    return await this.#parts.changes.makeOf(tenantId(id), () => change, meta);
  }

  /** A change to a state that the tenant is in already does nothing, so that a caller that lost the answer may ask again. */
  async #changeTo(
    id: string,
    to: TenantRecord["state"],
    change: TenantChange,
    options: ChangeOptions,
    what: string,
  ): Promise<TenantRecord> {
    const meta = changeOptions(options, CHANGE_OPTIONS, `Tenants.${what}`);
    return await this.#parts.changes.makeOf(tenantId(id), ({ state }) => (state === to ? undefined : change), meta);
  }

  #requirePlatform(): void {
    if (this.#parts.policy.platform.length === 0)
      throw invalidArgument("there is no platform key for a tenant that brings none", "Give `platform` to Tenants, or `stage` a key.");
  }
}
