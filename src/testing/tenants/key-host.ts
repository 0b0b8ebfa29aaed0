import type { TenantKeyOpener } from "../../core/contracts/tenant-keys.ts";
import type { TenantKeyDescription } from "../../tenants/index.ts";
import type { FakeKeyMode } from "./fake-key-modes.ts";

/** A place with keys of fake tenants, each of which a test can make fail: in this process, or an emulator. */
export interface TenantKeyHost {
  /** The opener for `Tenants`. */
  readonly opener: TenantKeyOpener;

  /** The modes that `setMode` takes here. */
  readonly modes: readonly FakeKeyMode[];

  /** Makes the key of a tenant, if it is not there, and describes it. @throws `invalid-argument` for an id that no key can be named after */
  describeKey(tenant: string): HostedKey | Promise<HostedKey>;

  /**
   * Lets in a vendor that shows this external id, which `invite` returned. Called before the key is used. Absent where the key service asks
   * for none.
   *
   * @throws `invalid-argument` for a tenant without a key
   */
  trust?(tenant: string, externalId: string): void;

  /** Makes the key of a tenant behave otherwise from now on. @throws `invalid-argument` for an unknown mode or tenant */
  setMode(tenant: string, mode: FakeKeyMode): void;

  /** The calls of the key of a tenant so far. */
  callsOf(tenant: string): number;
}

/** The key of a fake tenant, as `stage` and `invite` of `Tenants` take it. */
export interface HostedKey {
  readonly key: TenantKeyDescription;
  /** What the vendor signs in with. */
  readonly identity?: Readonly<Record<string, string>>;
}
