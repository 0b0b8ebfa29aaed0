import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import type { TenantStore } from "../../src/core/contracts/tenant-store.ts";
import { inspectKeyRecord } from "../../src/core/keyring/inspect.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import type { Tenants } from "../../src/tenants/tenants.ts";
import { runs } from "../support/arbitraries.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

const SCOPES = 6;

describe("a move", () => {
  test("wraps every data key of the tenant anew, and no record names the old key", async () => {
    const bench = vendor();
    const { tenants, clock, dataKeyStore, events } = bench;
    await bench.onboard("acme");
    await bench.onboard("other");
    const tokens = await fill(tenants, "acme");
    await fill(tenants, "other");
    await stage(bench, "acme", "vaults/acme/keys/second");
    const { step, rewrapped, failed, record } = await clock.finish(tenants.move("acme"));
    expect({ step, rewrapped, failed, generation: record.generation }).toEqual({
      step: "retired",
      rewrapped: SCOPES,
      failed: 0,
      generation: 3,
    });
    expect(await keysNamed(dataKeyStore, "acme")).toEqual(["fake:vaults/acme/keys/second#1"]);
    expect(await keysNamed(dataKeyStore, "other")).toEqual(["fake:vaults/other/keys/saas#1"]);
    await expectOpen(tenants, "acme", tokens);
    expect(events.map(({ type }) => type)).toContain("tenant.rewrap-progress");
    bench.service.setMode("vaults/acme/keys/saas", "deleted"); // the tenant takes the old key away
    await expectOpen(bench.another(), "acme", tokens);
    expect((await tenants.forgetKeys("acme")).keys).toMatchObject([{ number: 2 }]);
    await expectOpen(bench.another(), "acme", tokens);
  });

  test("goes from the platform's key to an own one, and back", async () => {
    const bench = vendor();
    const { tenants, clock, dataKeyStore, platform } = bench;
    await tenants.invite("acme");
    await tenants.activate("acme");
    const tokens = await fill(tenants, "acme");
    await stage(bench, "acme", "vaults/acme/keys/saas");
    expect((await clock.finish(tenants.move("acme"))).step).toBe("retired");
    await tenants.forgetKeys("acme");
    const calls = platform.calls.length;
    await expectOpen(bench.another(), "acme", tokens);
    expect(platform.calls.length).toBe(calls);
    await tenants.stage("acme", "platform");
    expect((await clock.finish(tenants.move("acme"))).step).toBe("retired");
    expect(await keysNamed(dataKeyStore, "acme")).toEqual(["platform"]);
    await expectOpen(bench.another(), "acme", tokens);
  });

  test("waits two refresh intervals before each switch, so that old processes can read, and does not block without `wait`", async () => {
    const bench = vendor();
    const { tenants, clock } = bench;
    await bench.onboard("acme");
    const elsewhere = bench.another();
    await elsewhere.keyring("acme");
    await stage(bench, "acme", "vaults/acme/keys/second");
    const seen: string[] = [];
    for (;;) {
      const { step, waitMs } = await tenants.move("acme", { wait: false });
      seen.push(`${step} ${waitMs}`);
      if (step === "retired") break;
      const written = await (await tenants.keyring("acme")).encryptText("x");
      expect(await (await elsewhere.keyring("acme")).decryptText(written)).toBe("x");
      await clock.advance(waitMs);
      expect(await (await elsewhere.keyring("acme")).decryptText(written)).toBe("x");
    }
    expect(seen).toEqual(["dual 60000", "announced 60000", "retired 0"]);
  });

  test("lists data keys that it cannot move, holds the step, and holds up no other tenant", async () => {
    const bench = vendor();
    const { tenants, clock, dataKeyStore } = bench;
    for (const id of ["acme", "other"]) {
      await bench.onboard(id);
      await fill(tenants, id);
      await stage(bench, id, `vaults/${id}/keys/second`);
    }
    const [row] = (await dataKeyStore.scan({ limit: 100 })).filter(({ scope }) => scope.length > 0);
    if (row?.record === undefined || row.record === null) throw new Error("no row");
    const spoilt = { ...row, record: row.record.with(60, 1 ^ (row.record[60] ?? 0)), revision: row.revision + 1 };
    expect(await dataKeyStore.compareAndSwap(spoilt, row.revision)).toBe(true);
    const held = await clock.finish(tenants.move("acme"));
    expect(held).toMatchObject({ step: "announced", failed: 1, failures: [{ version: 1 }] });
    expect((await clock.finish(tenants.move("other"))).step).toBe("retired");
    expect(await refusal(() => tenants.retire("acme"))).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("force") });
    expect((await tenants.retire("acme", { force: true })).move?.step).toBe("retired");
  });

  test("can be cancelled while it waits, and everything still opens", async () => {
    const bench = vendor();
    const { tenants } = bench;
    await bench.onboard("acme");
    const tokens = await fill(tenants, "acme");
    await stage(bench, "acme", "vaults/acme/keys/second");
    await tenants.move("acme", { wait: false });
    const envelope = await (await tenants.keyring("acme")).encryptText("under both");
    expect((await tenants.cancelMove("acme")).move).toBe(null);
    await expectOpen(tenants, "acme", tokens);
    expect(await (await tenants.keyring("acme")).decryptText(envelope)).toBe("under both");
    bench.service.setMode("vaults/acme/keys/second", "deleted");
    await (await tenants.keyring("acme")).encryptText("under the old one");
  });

  test("needs a store of data keys, and a verified key", async () => {
    const bench = vendor();
    const { tenants, service } = bench;
    await bench.onboard("acme");
    expect(await refusal(() => tenants.move("acme"))).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("stage") });
    service.addKey("vaults/acme/keys/second");
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    expect(await refusal(() => tenants.move("acme"))).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("verify") });
  });
});

test("a data key that comes in under the old key behind the rewrap is found by the proof, and moved by the next run", async () => {
  const run = async (late: number): Promise<{ readonly scans: number; readonly steps: readonly string[]; readonly named: number }> => {
    const dataKeyStore = memoryStore();
    let scans = 0;
    let isMoving = false;
    let write: () => Promise<unknown> = async () => undefined;
    const counted: DataKeyStore = {
      ...dataKeyStore,
      async scan(page, options) {
        if (isMoving && ++scans === late) await write();
        return await dataKeyStore.scan(page, options);
      },
    };
    const bench = vendor({ dataKeyStore: counted });
    await bench.onboard("acme");
    await fill(bench.tenants, "acme");
    const frozen = bench.another({ refreshMs: 1e9 }); // it hears of no change
    await frozen.keyring("acme");
    write = async () => await fill(frozen, "acme", ["late"]);
    await stage(bench, "acme", "vaults/acme/keys/second");
    isMoving = true;
    const first = await bench.clock.finish(bench.tenants.move("acme"));
    const second = await bench.clock.finish(bench.tenants.move("acme"));
    isMoving = false;
    return {
      scans,
      steps: [`${first.step} ${first.failed}`, `${second.step} ${second.failed}`],
      named: (await keysNamed(dataKeyStore, "acme")).length,
    };
  };
  const { scans } = await run(0);
  expect(await run(scans - 1)).toMatchObject({ steps: ["rewrapped 1", "retired 0"], named: 1 });
});

describe("C13 a crash at any write of a move: it ends when run again, every record opens, none names the old key", () => {
  test.each(["before", "after"] as const)("%s the write", async (when) => {
    let isEnded = false;
    for (let at = 1; !isEnded; at++) {
      const crash = crashing();
      const bench = vendor({ store: crash.store, dataKeyStore: crash.dataKeyStore });
      await bench.onboard("acme");
      const tokens = await fill(bench.tenants, "acme");
      await stage(bench, "acme", "vaults/acme/keys/second");
      crash.arm(at, when);
      const outcome = await bench.clock.finish(bench.tenants.move("acme").catch((error: unknown) => error));
      isEnded = !crash.hasCrashed;
      crash.arm(Number.POSITIVE_INFINITY, when);
      await expectOpen(bench.another(), "acme", tokens);
      const restarted = bench.another();
      const report = isEnded ? outcome : await bench.clock.finish(restarted.move("acme"));
      expect(report).toMatchObject({ step: "retired", failed: 0 });
      expect(await keysNamed(bench.dataKeyStore, "acme")).toEqual(["fake:vaults/acme/keys/second#1"]);
      await expectOpen(restarted, "acme", tokens);
      expect(at).toBeLessThan(50);
    }
  });
});

test("C16 a move survives a suspension at any point", async () => {
  let isEnded = false;
  for (let at = 1; !isEnded; at++) {
    const pause = pausing();
    const bench = vendor({ store: pause.store, dataKeyStore: pause.dataKeyStore });
    await bench.onboard("acme");
    const tokens = await fill(bench.tenants, "acme");
    await stage(bench, "acme", "vaults/acme/keys/second");
    const ops = bench.another();
    let isSuspended = false;
    pause.arm(at, async () => {
      isSuspended = true;
      await ops.suspend("acme");
    });
    await bench.clock.finish(bench.tenants.move("acme").catch((error: unknown) => error));
    isEnded = !isSuspended;
    await bench.clock.advance(60_000);
    if (isSuspended) {
      expect(await refusalCode(() => bench.another().keyring("acme"))).toBe("access-denied");
      await ops.restore("acme");
    }
    const { move } = await ops.show("acme");
    if (move?.step !== "retired") expect(await bench.clock.finish(ops.move("acme"))).toMatchObject({ step: "retired", failed: 0 });
    expect(await keysNamed(bench.dataKeyStore, "acme")).toEqual(["fake:vaults/acme/keys/second#1"]);
    await expectOpen(ops, "acme", tokens);
    expect(at).toBeLessThan(50);
  }
});

test("interleavings of moves, crashes, suspensions, revocations, rotations and rewraps lose nothing", async () => {
  const step = fc.constantFrom("move", "crash", "suspend", "revoke", "restore", "rotate", "rewrap", "write", "cancel", "stage", "wait");
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), fc.infiniteStream(fc.nat({ max: 8 })), async (steps, stream) => {
      const crash = crashing();
      const bench = vendor({ store: crash.store, dataKeyStore: crash.dataKeyStore });
      const { clock, service } = bench;
      await bench.onboard("acme");
      let tenants = bench.tenants;
      const tokens = [...(await fill(tenants, "acme"))];
      let keys = 1;
      const attempt = async (work: () => Promise<unknown>): Promise<void> => {
        await clock.finish(work().catch(() => undefined));
      };
      for (const name of steps) {
        if (name === "move") await attempt(() => tenants.move("acme", { wait: false }));
        if (name === "crash") {
          crash.arm(1 + (stream.next().value ?? 0), "after");
          await attempt(() => tenants.move("acme", { wait: false }));
          crash.arm(Number.POSITIVE_INFINITY, "after");
          tenants = bench.another();
        }
        if (name === "suspend") await attempt(() => tenants.suspend("acme"));
        if (name === "revoke") await attempt(() => tenants.revoke("acme"));
        if (name === "restore") await attempt(() => tenants.restore("acme"));
        if (name === "rotate") await attempt(async () => await (await tenants.dataKeys("acme")).rotate({ project: "0" }));
        if (name === "rewrap") await attempt(async () => await (await tenants.dataKeys("acme")).rewrapAll());
        if (name === "cancel") await attempt(() => tenants.cancelMove("acme"));
        if (name === "write") await attempt(async () => tokens.push(...(await fill(tenants, "acme", [`${tokens.length}`]))));
        if (name === "stage") await attempt(async () => await stage(bench, "acme", `vaults/acme/keys/k${++keys}`));
        if (name === "wait") await clock.advance(60_000);
        expect(service.modeOf("vaults/acme/keys/saas")).toBe("healthy");
      }
      await attempt(() => tenants.restore("acme"));
      await clock.advance(120_000);
      const { move } = await tenants.show("acme");
      if (move !== null) expect((await clock.finish(tenants.move("acme"))).step).toBe("retired");
      if (move !== null) expect((await keysNamed(bench.dataKeyStore, "acme")).length).toBe(1);
      await expectOpen(bench.another(), "acme", tokens);
    }),
    runs(40, 5),
  );
}, 120_000);

interface Token {
  readonly project: string;
  readonly token: string;
}

async function fill(
  tenants: Tenants,
  id: string,
  projects: readonly string[] = Array.from({ length: SCOPES }, (_, at) => `${at}`),
): Promise<readonly Token[]> {
  const dataKeys = await tenants.dataKeys(id);
  const tokens: Token[] = [];
  for (const project of projects) {
    const field = await dataKeys.field({ table: "notes", column: "text", scope: { project } });
    tokens.push({ project, token: field.encrypt(`note of ${project}`) });
  }
  return tokens;
}

async function expectOpen(tenants: Tenants, id: string, tokens: readonly Token[]): Promise<void> {
  const dataKeys = await tenants.dataKeys(id);
  for (const { project, token } of tokens) {
    const field = await dataKeys.field({ table: "notes", column: "text", scope: { project } });
    expect(await field.decryptAsync(token)).toBe(`note of ${project}`);
  }
}

async function stage({ tenants, service, clock, another }: Vendor, id: string, name: string): Promise<void> {
  service.addKey(name);
  await clock.advance(10_000); // one verification in ten seconds
  const operator = another();
  await operator.stage(id, { kind: "fake", key: name });
  expect((await operator.verify(id)).level).toBe("ok");
  await operator.close();
  await tenants.show(id).catch(() => undefined);
}

/** The key versions that live records of a tenant name. */
async function keysNamed(store: DataKeyStore, id: string): Promise<readonly string[]> {
  const rows = await store.scan({ limit: 1000 });
  const own = rows.filter(({ scope }) =>
    atob(scope.replaceAll("-", "+").replaceAll("_", "/")).includes(`tenant\u0000${String.fromCharCode(id.length)}${id}`),
  );
  return [...new Set(own.flatMap(({ record }) => (record === null ? [] : inspectKeyRecord(record).recipients.map(({ keyId }) => keyId))))];
}

interface Faulty {
  readonly store: TenantStore;
  readonly dataKeyStore: DataKeyStore;
}

/** Stores of which the write with a number fails, as if the process had died before or after it; and so does everything that follows. */
function crashing(): Faulty & { readonly hasCrashed: boolean; arm(at: number, when: "before" | "after"): void } {
  let left = Number.POSITIVE_INFINITY;
  let moment: "before" | "after" = "before";
  let hasCrashed = false;
  const died = (): Error => new Error("the process died");
  const write = async (work: () => Promise<boolean>): Promise<boolean> => {
    if (hasCrashed && left !== Number.POSITIVE_INFINITY) throw died();
    if (--left > 0) return await work();
    hasCrashed = true;
    if (moment === "after") await work();
    throw died();
  };
  return {
    ...faulty(write),
    get hasCrashed() {
      return hasCrashed;
    },
    arm(at, when) {
      [left, moment] = [at, when];
      if (at !== Number.POSITIVE_INFINITY) hasCrashed = false;
    },
  };
}

/** Stores that let other work run before the write with a number. */
function pausing(): Faulty & { arm(at: number, meanwhile: () => Promise<void>): void } {
  let left = Number.POSITIVE_INFINITY;
  let run: () => Promise<void> = async () => undefined;
  const write = async (work: () => Promise<boolean>): Promise<boolean> => {
    if (--left === 0) await run();
    return await work();
  };
  return {
    ...faulty(write),
    arm(at, meanwhile) {
      [left, run] = [at, meanwhile];
    },
  };
}

function faulty(write: (work: () => Promise<boolean>) => Promise<boolean>): Faulty {
  const [store, dataKeyStore] = [memoryTenantStore(), memoryStore()];
  return {
    store: {
      ...store,
      insertIfAbsent: (row, options) => write(() => store.insertIfAbsent(row, options)),
      compareAndSwap: (row, revision, options) => write(() => store.compareAndSwap(row, revision, options)),
    },
    dataKeyStore: {
      ...dataKeyStore,
      insertIfAbsent: (row, options) => write(() => dataKeyStore.insertIfAbsent(row, options)),
      compareAndSwap: (row, revision, options) => write(() => dataKeyStore.compareAndSwap(row, revision, options)),
    },
  };
}
