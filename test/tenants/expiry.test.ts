import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { Finding } from "../../src/core/contracts/finding.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { expiryOf } from "../../src/tenants/health/expiry.ts";
import { verdictOf } from "../../src/tenants/keys/tenant-provider.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import { Tenants } from "../../src/tenants/tenants.ts";
import { FakeKeyService } from "../../src/testing/tenants/index.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

const DAY_MS = 86_400_000;
const NAME = "vaults/acme/keys/saas";

/** A vendor whose key service says that a key ends after some days; null for never, undefined if it does not say. */
function vendorOfKeyThatEnds(inDays: () => number | null | undefined): Vendor {
  const service = new FakeKeyService();
  const bench: Vendor = vendor({
    open: {
      ...service.opener,
      async diagnose(): Promise<readonly Finding[]> {
        const days = inDays();
        const notAfterMs = typeof days === "number" ? bench.clock.unixMs() + days * DAY_MS : days;
        return [{ check: "key", status: "ok", message: "there", ...(notAfterMs !== undefined && { notAfterMs }) }];
      },
    },
  });
  service.addKey(NAME);
  return bench;
}

describe("the end of a key", () => {
  test.each([
    [31, "ok", "key-expiry", "ahead"],
    [29, "warning", "key-expiry", "within-30-days"],
    [6, "warning", "key-expiry", "within-7-days"],
    [-1, "failed", "key-expired", "expired"],
    [null, "ok", "key-expiry", "unknown"],
    [undefined, "skipped", "key-expiry", "unknown"],
  ] as const)("in %s days is %s at %s, and goes into record and health", async (days, level, check, expiry) => {
    const { tenants, clock } = vendorOfKeyThatEnds(() => days);
    await tenants.invite("acme");
    await tenants.stage("acme", { kind: "fake", key: NAME });
    const { findings, record, notAfterMs } = await tenants.verify("acme");
    const found = findings.find((finding) => finding.check.startsWith("key-exp"));
    expect(found).toMatchObject({
      level,
      check,
      ...(level === "warning" || level === "failed" ? { whose: "tenant", hint: expect.any(String) } : {}),
    });
    const end = typeof days === "number" ? Math.floor(clock.unixMs() + days * DAY_MS) : null;
    expect(record.staged?.notAfterMs).toBe(end);
    expect(notAfterMs === undefined || notAfterMs === null ? notAfterMs : Math.floor(notAfterMs)).toBe(
      days === undefined ? undefined : end,
    );
    if (level === "failed") {
      expect((await refusal(() => tenants.activate("acme"))).code).toBe("invalid-argument");
      return;
    }
    await tenants.activate("acme");
    expect((await tenants.healthOf("acme")).keys).toMatchObject([{ notAfterMs: end, expiry }]);
  });

  test("comes nearer in the report without another check, and an expired key is the tenant's to mend", async () => {
    const { tenants, clock } = vendorOfKeyThatEnds(() => 40);
    await tenants.invite("acme");
    await tenants.stage("acme", { kind: "fake", key: NAME });
    await tenants.verify("acme");
    await tenants.activate("acme");
    const seen: string[] = [];
    for (const days of [0, 15, 20, 6]) {
      await clock.advance(days * DAY_MS);
      const { keys, whose } = await tenants.healthOf("acme");
      seen.push(`${keys[0]?.expiry} ${whose}`);
    }
    expect(seen).toEqual(["ahead undefined", "within-30-days undefined", "within-7-days undefined", "expired tenant"]);
  });

  test("is taken back when the tenant extends the key, and stays where a later check learns nothing", async () => {
    let days: number | null | undefined = 5;
    const { tenants, clock } = vendorOfKeyThatEnds(() => days);
    await tenants.invite("acme");
    await tenants.stage("acme", { kind: "fake", key: NAME });
    const first = (await tenants.verify("acme")).record.staged?.notAfterMs;
    const next = async (found: number | null | undefined): Promise<number | null | undefined> => {
      days = found;
      await clock.advance(10_000);
      return (await tenants.verify("acme")).record.staged?.notAfterMs;
    };
    expect(await next(undefined)).toBe(first);
    expect(await next(90)).toBeGreaterThan(first ?? 0);
    expect(await next(null)).toBe(null);
  });

  test("that has come refuses calls without wiping what is kept, since no tenant took the key away", () => {
    for (const [detail, verdict] of [
      ["expired", "unknown"],
      ["not-yet-valid", "unknown"],
      ["disabled", "refused"],
    ] as const)
      expect(verdictOf(new EnvelockError("key-disabled", "no", { detail }))).toBe(verdict);
    expect(expiryOf({ notAfterMs: 1000 }, 1000)).toBe("expired");
  });
});

describe("key versions in the report", () => {
  test("are counted by the records that name them, of this tenant and this life alone", async () => {
    const bench = vendor({ dataKeyStore: memoryStore() });
    const { tenants, service } = bench;
    const name = await bench.onboard("acme");
    await bench.onboard("other");
    await fill(bench, "acme", 3);
    await fill(bench, "other", 2);
    service.addKey(name); // another version
    await fill(bench, "acme", 1, "later");
    const versionsOf = async (id: string): Promise<unknown> => (await tenants.healthOf(id, { countRecords: true })).records;
    expect(await versionsOf("acme")).toEqual({
      keyVersions: [
        { provider: "fake", keyId: `fake:${name}#1`, records: 3 },
        { provider: "fake", keyId: `fake:${name}#2`, records: 1 },
      ],
      unreadable: 0,
      isComplete: true,
    });
    const all: unknown[] = [];
    for await (const report of tenants.health({ countRecords: true }))
      all.push("error" in report ? report : [report.tenant, report.records?.keyVersions.length]);
    expect(all).toEqual([
      ["acme", 2],
      ["other", 1],
    ]);
    expect((await tenants.healthOf("acme")).records).toBe(undefined);
  });

  test("cost one pass over the store for all tenants, within a bound of rows", async () => {
    const dataKeyStore = memoryStore();
    let rows = 0;
    const bench = vendor({
      dataKeyStore: {
        ...dataKeyStore,
        async scan(page, options) {
          const found = await dataKeyStore.scan(page, options);
          rows += found.length;
          return found;
        },
      },
    });
    for (const id of ["a", "b", "c"]) {
      await bench.onboard(id);
      await fill(bench, id, 4);
    }
    for await (const _report of bench.tenants.health({ countRecords: true })) void _report;
    expect(rows).toBe(12);
    const { records } = await bench.tenants.healthOf("a", { countRecords: true, maxRows: 5 });
    expect(records?.isComplete).toBe(false);
    expect(rows).toBe(17);
  });

  test("need a store of data keys", async () => {
    const tenants = new Tenants({ store: memoryTenantStore() });
    await tenants.invite("acme");
    expect(await refusalCode(() => tenants.healthOf("acme", { countRecords: true }))).toBe("invalid-argument");
    expect((await tenants.healthOf("acme")).records).toBe(undefined);
    await tenants.close();
  });
});

async function fill({ tenants }: Vendor, id: string, scopes: number, name = "p"): Promise<void> {
  const dataKeys = await tenants.dataKeys(id);
  for (let at = 0; at < scopes; at++) await dataKeys.field({ table: "users", column: "email", scope: { project: `${name}${at}` } });
}
