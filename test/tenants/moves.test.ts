import { describe, expect, test } from "vitest";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import type { Keyring } from "../../src/core/keyring/keyring.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { vendor } from "./bench.ts";
import { crashing, expectOpen, fill, keysNamed, pausing, SCOPES, stage } from "./moving.ts";

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

  test("rewraps envelopes outside of the key table too, waits for those that fail, and looks again at what came in meanwhile", async () => {
    const bench = vendor();
    const { tenants, clock, service } = bench;
    await bench.onboard("acme");
    const blobs = new Map<string, Uint8Array>();
    const put = async (name: string): Promise<void> => void blobs.set(name, await (await tenants.keyring("acme")).encryptText(name));
    for (const name of ["a", "b", "locked"]) await put(name);
    await stage(bench, "acme", "vaults/acme/keys/second");
    let isLocked = true;
    let passes = 0;
    async function* envelopes(keyring: Keyring) {
      passes++;
      for (const [name, envelope] of blobs) {
        if (keyIdsIn(envelope).every((keyId) => keyId.includes("second"))) continue;
        if (name !== "locked" || !isLocked) blobs.set(name, await keyring.rewrap(envelope));
        yield { name, outcome: name !== "locked" || !isLocked ? "rewrapped" : "not-possible" };
      }
    }
    const held = await clock.finish(tenants.move("acme", { envelopes }));
    expect(held).toMatchObject({
      step: "announced",
      failed: 0,
      envelopes: { rewrapped: 2, failed: 1, failures: [{ name: "locked", outcome: "not-possible" }] },
    });
    isLocked = false;
    const report = await clock.finish(tenants.move("acme", { envelopes }));
    expect(report).toMatchObject({ step: "retired", envelopes: { rewrapped: 1, failed: 0, failures: [] } });
    expect(passes).toBe(3);
    service.setMode("vaults/acme/keys/saas", "deleted");
    for (const [name, envelope] of blobs) expect(await (await bench.another().keyring("acme")).decryptText(envelope)).toBe(name);
    expect((await tenants.move("acme")).envelopes).toBe(undefined); // it did not look
    expect((await tenants.move("acme", { envelopes })).envelopes).toEqual({ rewrapped: 0, failed: 0, failures: [] });
    async function* rows() {
      yield { id: 1 };
    }
    expect(await refusalCode(() => tenants.move("acme", untyped({ envelopes: rows })))).toBe("invalid-argument");
  });

  test.each([
    { concurrency: Number.NaN },
    { wait: "no" },
    { onProgress: "log" },
    { envelopes: [] },
    { enveloppes: () => [] },
  ])("refuses %j before it changes anything", async (options) => {
    const bench = vendor();
    await bench.onboard("acme");
    await stage(bench, "acme", "vaults/acme/keys/second");
    expect(await refusalCode(() => bench.tenants.move("acme", untyped(options)))).toBe("invalid-argument");
    expect((await bench.tenants.show("acme")).move).toBe(null);
  });

  test("leads to another key: the one in use is refused, whichever way it is spelled, and one that was cancelled is not", async () => {
    const bench = vendor();
    const { tenants, clock } = bench;
    const name = await bench.onboard("acme");
    for (const key of [name, name.toUpperCase()])
      expect(await refusal(() => tenants.stage("acme", { kind: "fake", key }))).toMatchObject({ code: "invalid-argument" });
    await stage(bench, "acme", "vaults/acme/keys/second");
    await tenants.move("acme", { wait: false });
    const tokens = await fill(tenants, "acme");
    await tenants.cancelMove("acme");
    await stage(bench, "acme", "vaults/acme/keys/second");
    expect((await clock.finish(tenants.move("acme"))).step).toBe("retired");
    await tenants.forgetKeys("acme");
    await expectOpen(bench.another(), "acme", tokens);
    await tenants.invite("small");
    await tenants.activate("small");
    expect(await refusalCode(() => tenants.stage("small", "platform"))).toBe("invalid-argument");
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

test("a process that cannot read the records wraps nothing under the old key of a move that is retired", async () => {
  const bench = vendor();
  const { tenants, store, clock } = bench;
  await bench.onboard("acme");
  await fill(tenants, "acme");
  let isCut = false;
  const get: typeof store.get = async (place, options) => {
    if (isCut) throw new Error("no way to the database");
    return await store.get(place, options);
  };
  const cutOff = bench.another({ store: { ...store, get } });
  const held = await cutOff.dataKeys("acme");
  const field = await held.field({ table: "notes", column: "text", scope: { project: "0" } });
  await stage(bench, "acme", "vaults/acme/keys/second");
  isCut = true;
  expect((await clock.finish(tenants.move("acme"))).step).toBe("retired");
  const late = await refusal(() => held.field({ table: "notes", column: "text", scope: { project: "late" } }));
  expect(late).toMatchObject({ code: "unavailable", detail: "tenant-stale" });
  const token = field.encrypt("under a data key that was moved");
  await tenants.forgetKeys("acme");
  const again = await (await bench.another().dataKeys("acme")).field({ table: "notes", column: "text", scope: { project: "0" } });
  expect(await again.decryptAsync(token)).toBe("under a data key that was moved");
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

function keyIdsIn(envelope: Uint8Array): readonly string[] {
  const found = inspect(envelope);
  return "recipients" in found ? found.recipients.map(({ keyId }) => keyId) : [];
}
