import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import type { TenantStore } from "../../src/core/contracts/tenant-store.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import type { TenantAuditEvent } from "../../src/tenants/audit/events.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import { Tenants } from "../../src/tenants/tenants.ts";
import type { TenantsOptions } from "../../src/tenants/tenants-options.ts";
import { FakeKeyService } from "../../src/testing/tenants/index.ts";
import { type FakeClock, fakeClock } from "../support/fake-clock.ts";
import { kek, type WatchedProvider, watched } from "../support/keks.ts";

/** A vendor: one process or several on the same stores, over a fake key service and a clock that stands still. */
export interface Vendor {
  readonly clock: FakeClock;
  readonly service: FakeKeyService;
  readonly platform: WatchedProvider;
  readonly store: TenantStore;
  readonly dataKeyStore: DataKeyStore;
  /** The first process. */
  readonly tenants: Tenants;
  readonly events: TenantAuditEvent[];
  /** Another process on the same stores. */
  another(options?: Partial<TenantsOptions>): Tenants;
  /** Onboards a tenant under a key of its own, and lets the spread of a fresh grant pass. @returns the name of the key */
  onboard(id: string, name?: string): Promise<string>;
}

export function vendor(options: Partial<TenantsOptions> = {}): Vendor {
  const clock = fakeClock();
  const service = new FakeKeyService({ clock });
  const platform = watched(kek("platform"));
  const store = options.store ?? memoryTenantStore();
  const dataKeyStore = options.dataKeyStore ?? memoryStore();
  const events: TenantAuditEvent[] = [];
  const another = (more: Partial<TenantsOptions> = {}): Tenants =>
    new Tenants({
      store,
      dataKeyStore,
      platform: [platform],
      open: service.opener,
      clock,
      resilience: { retry: false },
      onEvent: (event) => events.push(event),
      ...options,
      ...more,
    });
  const tenants = another();
  return {
    clock,
    service,
    platform,
    store,
    dataKeyStore,
    tenants,
    events,
    another,
    async onboard(id, name = `vaults/${id}/keys/saas`) {
      service.addKey(name);
      await tenants.invite(id);
      await tenants.stage(id, { kind: "fake", key: name });
      await tenants.verify(id);
      await tenants.activate(id);
      await clock.advance(600_000);
      return name;
    },
  };
}
