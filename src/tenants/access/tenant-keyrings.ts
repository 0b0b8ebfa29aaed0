import { countingSleep } from "../../core/base/clock.ts";
import type { EnvelockError, ErrorCode } from "../../core/base/errors.ts";
import type { KeyProvider } from "../../core/contracts/key-provider.ts";
import type { RandomSource } from "../../core/contracts/random-source.ts";
import { DataKeyCache } from "../../core/key-source/data-key-cache.ts";
import type { Gate } from "../../core/keyring/gate.ts";
import { Keyring } from "../../core/keyring/keyring.ts";
import { FairLimits } from "../../core/resilience/fair-limits.ts";
import type { Lane, TenantBudget } from "../../core/resilience/fair-queues.ts";
import { ProviderGuards } from "../../core/resilience/policy.ts";
import type { AuditQueue } from "../audit/audit-queue.ts";
import type { KeyClaims } from "../keys/claims.ts";
import { identityOf } from "../keys/openers.ts";
import { type TenantCalls, tenantProvider, whoseOfOwnKey, whoseOfPlatformKey } from "../keys/tenant-provider.ts";
import { PLATFORM_KEY } from "../life-cycle/change.ts";
import { contextOfLife } from "../record/life.ts";
import { reuseOf } from "../record/policy.ts";
import type { TenantKey, TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import type { TenantSlot } from "./known-tenants.ts";
import type { TenantUse } from "./states.ts";

/** What the keyrings tell about the calls of tenants' own keys. */
export interface CallWatch {
  /** Called when a call of a tenant's own key has ended. */
  ended(id: string, slot: TenantSlot, error: EnvelockError | undefined): void;
}

export interface KeyringsParts {
  readonly policy: TenantsPolicy;
  readonly claims: KeyClaims;
  readonly audit: AuditQueue;
  readonly watch: CallWatch;
}

/**
 * Makes the keyrings of tenants: opened keys with the shared cache, the breakers and the limits of all of them. Breakers and limits are kept by
 * the names of keys, so that they outlive a keyring.
 */
export class TenantKeyrings {
  readonly cache: DataKeyCache;
  readonly #parts: KeyringsParts;
  readonly #guards: ProviderGuards;
  readonly #limits: FairLimits;
  readonly #names = new WeakMap<object, GuardNames>();

  /** @param slotOf finds what is known about a tenant, with its own bounds of calls */
  constructor(parts: KeyringsParts, slotOf: (id: string) => TenantSlot | undefined) {
    const { policy } = parts;
    const { clock, cache = {}, resilience: { breaker, maxConcurrent } = {} } = policy;
    this.#parts = parts;
    this.cache = new DataKeyCache({ maxEntries: 10_000, ...cache, clock: countingSleep(clock) });
    this.#guards = new ProviderGuards({
      ...(breaker !== undefined && { breaker }),
      ...(maxConcurrent !== undefined && { maxConcurrent }),
      keyOf: (provider: KeyProvider | RandomSource) => this.#names.get(provider)?.key,
      hostOf: (provider: KeyProvider | RandomSource) => this.#names.get(provider)?.host,
      maxKeys: policy.maxKnown,
    });
    this.#limits = new FairLimits({
      ...policy.limits,
      clock,
      payerOf: (provider) => this.#names.get(provider)?.payer,
      budgetOf: (id) => budgetOf(slotOf(id)),
    });
  }

  /** Opens some keys of a tenant. Checks each description anew: what was allowed when it was written may not be any more. */
  async openKeys(record: TenantRecord, keys: readonly TenantKey[], settings: OpenSettings = {}): Promise<OpenedKeys> {
    const own: KeyProvider[] = [];
    const opened: OpenedKey[] = [];
    for (const key of keys) opened.push({ role: key.role, providers: await this.#providersOf(record, key, settings, own) });
    return { keys: opened.reverse(), own }; // the newest key generates
  }

  /** Makes a keyring of opened keys of a tenant. */
  keyringOf(record: TenantRecord, { keys }: OpenedKeys, settings: KeyringSettings): Keyring {
    const of = (role: TenantKey["role"]): readonly KeyProvider[] =>
      keys.filter((key) => key.role === role).flatMap(({ providers }) => providers);
    const { policy, audit } = this.#parts;
    const { deadlineMs, attemptDeadlineMs, retry } = settings.resilience ?? policy.resilience ?? {};
    const reuse = reuseOf(record, policy);
    const isReading = settings.use === "read";
    return new Keyring({
      wrapWith: isReading ? [] : of("wrap"),
      unwrapWith: isReading ? [...of("wrap"), ...of("unwrap")] : of("unwrap"),
      context: contextOfLife(record),
      tenant: {
        id: record.id,
        generation: record.generation,
        ...(record.policy.cacheMaxAgeMs !== null && { cacheMaxAgeMs: record.policy.cacheMaxAgeMs }),
      },
      guards: this.#guards,
      limits: this.#limits,
      lane: settings.lane,
      ...(settings.gate !== undefined && { gate: settings.gate }),
      clock: policy.clock,
      ...(deadlineMs !== undefined && { deadlineMs }),
      ...(attemptDeadlineMs !== undefined && { attemptDeadlineMs }),
      ...(retry !== undefined && { retry }),
      ...(settings.isCached && { cache: this.cache, ...(reuse !== undefined && { reuse }) }),
      ...(audit.isListening && { onEvent: (event) => audit.emit(record.id, event) }),
      ...(policy.telemetry !== undefined && { telemetry: policy.telemetry }),
    });
  }

  /** Lets `use` have a keyring of one key in the background lane, with one attempt for each call, and closes it. */
  async withOneKey<T>(record: TenantRecord, key: TenantKey, use: TenantUse, work: (keyring: Keyring) => Promise<T>): Promise<T> {
    const opened = await this.openKeys(record, [key]);
    const keyring = this.keyringOf(record, opened, { use, isCached: false, lane: "background", resilience: ONE_ATTEMPT });
    try {
      return await work(keyring);
    } finally {
      await keyring.close();
      for (const provider of opened.own) await provider.close?.().catch(() => undefined);
    }
  }

  async #providersOf(record: TenantRecord, key: TenantKey, settings: OpenSettings, own: KeyProvider[]): Promise<readonly KeyProvider[]> {
    const { policy, claims, watch } = this.#parts;
    const { id, epoch } = record;
    const calls = (whoseIs: TenantCalls["whoseIs"], ended: TenantCalls["ended"]): TenantCalls => ({
      tenant: id,
      whoseIs,
      admit: (use) => settings.calls?.admit(use),
      began: () => settings.calls?.began(),
      ended(error, durationMs) {
        settings.calls?.ended(error, durationMs);
        ended(error, durationMs);
      },
      clock: policy.clock,
    });
    if (key.kind === PLATFORM_KEY.kind) {
      return policy.platform.map((provider, at) =>
        this.#named(
          tenantProvider(
            provider,
            calls(whoseOfPlatformKey, () => undefined),
          ),
          { key: `platform ${at}`, host: undefined, payer: `platform ${at}` },
        ),
      );
    }
    const identity = identityOf(record);
    const { name, payer, paidBy = "tenant" } = policy.openers.acceptOf(key, record);
    await claims.require(key.kind, name, { tenant: id, epoch, shareable: key.shareable });
    const opened = policy.openers.open(key, identity);
    own.push(opened);
    const { slot } = settings;
    const whoseIs = (code: ErrorCode) => whoseOfOwnKey(code, paidBy);
    const ended = (error: EnvelockError | undefined): void => {
      if (slot !== undefined && key.role === "wrap") watch.ended(id, slot, error); // an old key may be taken away
    };
    const service = `${key.kind} ${payer}`;
    const names = { key: `${id} ${epoch} ${key.kind} ${name}`, host: service, payer: service };
    return [this.#named(tenantProvider(opened, calls(whoseIs, ended)), names)];
  }

  #named(provider: KeyProvider, names: GuardNames): KeyProvider {
    this.#names.set(provider, names);
    return provider;
  }
}

export interface OpenSettings {
  /** What stands before and behind each call of a key. */
  readonly calls?: Pick<TenantCalls, "admit" | "began" | "ended">;
  /** The slot whose health the calls of own keys count for. */
  readonly slot?: TenantSlot;
}

export interface KeyringSettings {
  readonly use: TenantUse;
  /** Whether the shared cache and the reuse of data keys serve it. */
  readonly isCached: boolean;
  readonly lane: Lane;
  /** Asked before each use of a data key, also of one that is kept. Undefined for a keyring that no state closes, such as that of a check. */
  readonly gate?: Gate;
  readonly resilience?: TenantsPolicy["resilience"];
}

export interface OpenedKeys {
  /** The newest first. */
  readonly keys: readonly OpenedKey[];
  /** Providers that were opened for this tenant, which the caller closes. */
  readonly own: readonly KeyProvider[];
}

interface OpenedKey {
  readonly role: TenantKey["role"];
  readonly providers: readonly KeyProvider[];
}

interface GuardNames {
  readonly key: string;
  readonly host: string | undefined;
  readonly payer: string;
}

function budgetOf(slot: TenantSlot | undefined): TenantBudget | undefined {
  if (slot === undefined || (slot.maxConcurrent === 0 && slot.callsPerSecond === 0)) return undefined;
  const { maxConcurrent, callsPerSecond: perSecond } = slot;
  return { ...(maxConcurrent > 0 && { maxConcurrent }), ...(perSecond > 0 && { perSecond }) };
}

const ONE_ATTEMPT = { retry: false, attemptDeadlineMs: 10_000, deadlineMs: 10_000 } as const;
