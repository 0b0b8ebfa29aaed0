import { Residents } from "./access/residents.ts";
import { AuditQueue } from "./audit/audit-queue.ts";
import { TenantChanges } from "./changes.ts";
import { Canaries } from "./health/canaries.ts";
import { ACTOR, HealthChecks } from "./health/health-checks.ts";
import { Reporter } from "./health/reporter.ts";
import { UseStamps } from "./health/use-stamps.ts";
import { TenantVerifier } from "./health/verifier.ts";
import { TenantWatch } from "./health/watch.ts";
import { WatchPlace } from "./health/watch-place.ts";
import { KeyClaims } from "./keys/claims.ts";
import { TenantMover } from "./moves/mover.ts";
import { TenantShredder } from "./moves/shredder.ts";
import { TenantRecords } from "./record/records.ts";
import { type TenantsOptions, type TenantsPolicy, tenantsPolicy } from "./tenants-options.ts";

/** The parts of one `Tenants`. */
export interface TenantsParts {
  readonly policy: TenantsPolicy;
  readonly records: TenantRecords;
  readonly claims: KeyClaims;
  readonly audit: AuditQueue;
  readonly residents: Residents;
  readonly changes: TenantChanges;
  readonly verifier: TenantVerifier;
  readonly health: HealthChecks;
  readonly mover: TenantMover;
  readonly shredder: TenantShredder;
  readonly reporter: Reporter;
}

/** Makes the parts and connects them: what the watch concludes from a call acts on residents, canaries and records. @throws `invalid-argument` */
export function tenantsParts(options: TenantsOptions): TenantsParts {
  const policy = tenantsPolicy(options);
  const { store, clock } = policy;
  const audit = new AuditQueue(policy.onEvent, policy.maxQueuedEvents);
  const records = new TenantRecords(store, clock);
  const claims = new KeyClaims(store, records, policy.openers);
  const watch = new TenantWatch(
    {
      purge: (id) => residents.purge(id),
      hurry: (id) => health.hurry(id),
      // the next call of the key draws the same conclusion
      change: (id, next) => void changes.makeOf(id, next, { actor: ACTOR }).catch(() => undefined),
      unixMs: () => clock.unixMs(),
      nowS: () => residents.nowS,
    },
    policy.grantSpreadMs,
  );
  const canaries = new Canaries(store);
  const uses = new UseStamps(store);
  const residents = new Residents({ policy, records, claims, audit, watch, uses });
  const changes = new TenantChanges(records, residents, audit, clock);
  const health = new HealthChecks({ policy, records, residents, canaries, uses, place: new WatchPlace(store), changes, watch, audit });
  const verifier = new TenantVerifier({ policy, residents, claims, canaries, changes });
  const shredder = new TenantShredder({ policy, residents, changes, claims });
  const reporter = new Reporter(policy, residents);
  const mover = new TenantMover({
    policy,
    residents,
    changes,
    audit,
    records,
    dataKeysOf: async (id) => (await residents.open(id, "write")).dataKeys(policy, policy.cacheMaxAgeMs, "background"),
    keyringOf: async (id) => (await residents.open(id, "write")).jobKeyring,
  });
  return { policy, records, claims, audit, residents, changes, verifier, health, mover, shredder, reporter };
}
