import fc from "fast-check";
import { expect, test } from "vitest";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import type { Keyring } from "../../src/core/keyring/keyring.ts";
import type { TenantRecord } from "../../src/tenants/record/tenant-record.ts";
import type { Tenants } from "../../src/tenants/tenants.ts";
import { runs } from "../support/arbitraries.ts";
import { refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";
import { crashing, expectOpen, fill, keysNamed, stage, type Token } from "./moving.ts";

// ENVELOCK_INTERLEAVINGS: how many. With it, the test prints how often each action came after each other.
const { ENVELOCK_INTERLEAVINGS } = process.env;
const RUNS = ENVELOCK_INTERLEAVINGS === undefined ? runs(25, 5) : { numRuns: Number(ENVELOCK_INTERLEAVINGS) };

test("whatever happens to a tenant in whichever order, nothing is lost, what is closed stays closed, and an old key may go when it is retired", async () => {
  const pairs = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.noBias(fc.array(fc.nat({ max: 65_535 }), { minLength: 8, maxLength: 25 })), async (choices) => {
      const run = await Run.begin();
      let before = "begin";
      for (const choice of choices) {
        const action = await run.act(choice);
        const pair = `${before} ${action}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
        before = action;
      }
      await run.end();
    }),
    RUNS,
  );
  if (ENVELOCK_INTERLEAVINGS === undefined) return;
  const rarest = [...pairs].sort(([, a], [, b]) => a - b).slice(0, 12);
  const missing = ACTIONS.flatMap((a) => ACTIONS.map((b) => `${a} ${b}`)).filter((pair) => !pairs.has(pair));
  console.log(`${RUNS.numRuns} interleavings, ${pairs.size} pairs of actions; rarest: ${rarest.map((pair) => pair.join(": ")).join(", ")}`);
  console.log(`pairs that did not come: ${missing.join(", ")}`);
}, 3_600_000);

const ACTIONS = [
  "stage",
  "move",
  "crash",
  "late write",
  "cancel",
  "retire",
  "forget",
  "suspend",
  "revoke",
  "restore",
  "deny",
  "allow",
  "rotate",
  "rewrap",
  "write",
  "write elsewhere",
  "wait",
] as const;
type Action = (typeof ACTIONS)[number];
/** What leads on to other states comes more often than what stays. */
const WEIGHTS: Readonly<Partial<Record<Action, number>>> = {
  stage: 4,
  move: 6,
  crash: 2,
  "late write": 3,
  forget: 2,
  restore: 4,
  allow: 3,
};

/** One tenant with two processes of its vendor, and what must hold after each action. */
class Run {
  readonly #crash: ReturnType<typeof crashing>;
  readonly #passes: ReturnType<typeof interrupted>;
  readonly #bench: Vendor;
  readonly #tokens: Token[] = [];
  #tenants: Tenants;
  readonly #elsewhere: Tenants;
  /** A process that has heard of no change since the last key was staged. */
  #lagging: Tenants | undefined;
  #keys = 1;
  #isDenied = false;
  /** A keyring that a caller holds, and an envelope of which the data key is in memory. */
  #held: { readonly keyring: Keyring; readonly envelope: Uint8Array } | undefined;

  private constructor(crash: ReturnType<typeof crashing>) {
    this.#crash = crash;
    this.#passes = interrupted(crash.dataKeyStore);
    this.#bench = vendor({ store: crash.store, dataKeyStore: this.#passes.store, grantSpreadMs: 0 });
    this.#tenants = this.#bench.tenants;
    this.#elsewhere = this.#bench.another();
  }

  static async begin(): Promise<Run> {
    const run = new Run(crashing());
    await run.#bench.onboard("acme");
    run.#tokens.push(...(await fill(run.#tenants, "acme")));
    return run;
  }

  /** Does one of the actions that its state allows, and checks what must hold. @returns its name */
  async act(choice: number): Promise<Action> {
    const before = await this.#record();
    const allowed = ACTIONS.filter((action) => this.#allows(action, before)).flatMap((name) => times(name, WEIGHTS[name] ?? 1));
    const action: Action = allowed[choice % allowed.length] ?? "wait";
    await this.#do(action, before, Math.floor(choice / allowed.length));
    const record = await this.#record();
    if (shapeOf(record) !== shapeOf(before)) expect(record.generation, action).toBeGreaterThan(before.generation);
    if (record.state === "suspended" || record.state === "revoked") await this.#requireClosed();
    if (record.move?.step === "retired" && !this.#isDenied) await this.#requireRetired(record);
    return action;
  }

  /** Everything opens at the end, whatever has happened. */
  async end(): Promise<void> {
    this.#setModes("healthy");
    await this.#attempt(() => this.#tenants.restore("acme"));
    await this.#bench.clock.advance(120_000);
    const { move } = await this.#record();
    if (move !== null) expect(await this.#bench.clock.finish(this.#tenants.move("acme"))).toMatchObject({ step: "retired", failed: 0 });
    const record = await this.#record();
    if (record.move !== null) await this.#requireRetired(record);
    await expectOpen(this.#bench.another(), "acme", this.#tokens);
  }

  #allows(action: Action, { state, move, staged, keys }: TenantRecord): boolean {
    const isActive = state === "active" || state === "degraded";
    const isWell = isActive && !this.#isDenied;
    switch (action) {
      case "stage":
        return isWell && move === null && keys.length < 12;
      case "move":
      case "crash":
        return isWell && (move === null ? staged !== null : move.step !== "retired");
      case "late write":
        return isWell && (move?.step === "announced" || move?.step === "rewrapped");
      case "cancel":
      case "retire":
        return isActive && move !== null && move.step !== "retired";
      case "forget":
        return isActive && move?.step === "retired";
      case "suspend":
        return isActive || state === "revoked";
      case "revoke":
        return isActive || state === "suspended";
      case "restore":
        return !isActive && !this.#isDenied;
      case "deny":
        return isActive && !this.#isDenied;
      case "allow":
        return this.#isDenied;
      case "rotate":
      case "rewrap":
      case "write":
      case "write elsewhere":
        return isWell;
      case "wait":
        return true;
    }
  }

  async #do(action: Action, { move }: TenantRecord, choice: number): Promise<void> {
    const tenants = this.#tenants;
    switch (action) {
      case "stage":
        await this.#attempt(() => this.#lag());
        return await this.#attempt(() => stage(this.#bench, "acme", `vaults/acme/keys/k${++this.#keys}`));
      case "move":
        if (choice % 3 > 0) await this.#bench.clock.advance(60_000);
        return await this.#attempt(() => tenants.move("acme", { wait: false }));
      case "crash":
        this.#crash.arm(1 + (choice % 9), choice % 2 === 0 ? "after" : "before");
        await this.#attempt(() => tenants.move("acme", { wait: false }));
        this.#crash.arm(Number.POSITIVE_INFINITY, "after");
        this.#tenants = this.#bench.another();
        return;
      case "late write":
        return await this.#moveWithLateWrite(move?.step);
      case "cancel":
        return await this.#attempt(() => tenants.cancelMove("acme"));
      case "retire":
        if (move?.step === "proved") return await this.#attempt(() => tenants.retire("acme"));
        expect(await refusalCode(() => tenants.retire("acme"))).toBe("invalid-argument");
        return;
      case "forget":
        return await this.#attempt(() => tenants.forgetKeys("acme"));
      case "suspend":
        await this.#hold();
        return await this.#attempt(() => tenants.suspend("acme"));
      case "revoke":
        await this.#hold();
        return await this.#attempt(() => tenants.revoke("acme"));
      case "restore":
        return await this.#attempt(() => tenants.restore("acme"));
      case "deny":
        return await this.#deny();
      case "allow":
        return this.#setModes("healthy");
      case "rotate":
        return await this.#attempt(async () => await (await tenants.dataKeys("acme")).rotate({ project: "0" }));
      case "rewrap":
        return await this.#attempt(async () => await (await tenants.dataKeys("acme")).rewrapAll());
      case "write":
        return await this.#write(tenants);
      case "write elsewhere":
        return await this.#write(this.#elsewhere);
      case "wait":
        return await this.#bench.clock.advance(60_000);
    }
  }

  /** Opens a keyring in a process that reads no record again. */
  async #lag(): Promise<void> {
    await this.#lagging?.close();
    this.#lagging = this.#bench.another({ refreshMs: 1e9 });
    await this.#lagging.keyring("acme");
  }

  /** Moves on, while the lagging process makes a data key under the old keys: behind the last rewrap, and before the proof. */
  async #moveWithLateWrite(step: string | undefined): Promise<void> {
    await this.#bench.clock.advance(60_000);
    const lagging = this.#lagging;
    // a rewrap takes two passes
    if (lagging !== undefined) this.#passes.arm(step === "announced" ? 4 : 2, () => this.#fill(lagging).catch(() => undefined));
    await this.#attempt(() => this.#tenants.move("acme", { wait: false }));
    this.#passes.arm(0, async () => undefined);
  }

  /** The tenant takes its keys away. The first refusal wipes what is in memory, before the record says so. */
  async #deny(): Promise<void> {
    await this.#hold();
    this.#setModes("denied");
    const { keyring, envelope } = this.#held ?? {};
    if (keyring === undefined || envelope === undefined) return;
    expect(await refusalCode(() => keyring.encryptText("y"))).toBe("access-denied");
    expect(await refusalCode(() => keyring.decryptText(envelope))).toBe("access-denied");
    await this.#bench.clock.advance(0);
  }

  async #write(tenants: Tenants): Promise<void> {
    await this.#attempt(() => this.#fill(tenants));
  }

  async #fill(tenants: Tenants): Promise<void> {
    this.#tokens.push(...(await fill(tenants, "acme", [`${this.#tokens.length}`])));
  }

  /** Has an envelope with its data key in memory. */
  async #hold(): Promise<void> {
    await this.#attempt(async () => {
      const keyring = await this.#tenants.keyring("acme");
      const envelope = await keyring.encryptText("x");
      await keyring.decryptText(envelope);
      this.#held = { keyring, envelope };
    });
  }

  /** A closed tenant opens nothing in the process that closed it, also through what a caller holds, and no key is called. */
  async #requireClosed(): Promise<void> {
    const calls = this.#bench.service.calls();
    expect(await refusalCode(() => this.#tenants.keyring("acme"))).toBe("access-denied");
    const { keyring, envelope } = this.#held ?? {};
    if (keyring !== undefined && envelope !== undefined)
      expect(["access-denied", "closed"]).toContain(await refusalCode(() => keyring.decryptText(envelope)));
    expect(this.#bench.service.calls()).toBe(calls);
  }

  /** The old keys of a move that is retired may go: no record names them, and everything opens without them. */
  async #requireRetired({ keys, move, state }: TenantRecord): Promise<void> {
    const next = keys.find(({ number }) => number === move?.to);
    if (next === undefined) throw new Error("no new key");
    const named = await keysNamed(this.#bench.dataKeyStore, "acme");
    expect(named).toEqual([expect.stringContaining(next.key)]);
    if (state !== "active" && state !== "degraded") return;
    const old = keys.filter(({ number }) => number !== move?.to);
    for (const { key } of old) this.#bench.service.setMode(key, "deleted");
    await expectOpen(this.#bench.another(), "acme", this.#tokens);
  }

  #setModes(mode: "denied" | "healthy"): void {
    const { service } = this.#bench;
    this.#isDenied = mode === "denied";
    const names = ["vaults/acme/keys/saas", ...Array.from({ length: this.#keys - 1 }, (_, at) => `vaults/acme/keys/k${at + 2}`)];
    for (const name of names) if (service.modeOf(name) !== "deleted") service.setMode(name, mode);
  }

  async #record(): Promise<TenantRecord> {
    return await this.#bench.clock.finish(this.#tenants.show("acme"));
  }

  async #attempt(work: () => Promise<unknown>): Promise<void> {
    await this.#bench.clock.finish(work().catch(() => undefined));
  }
}

/** A store that lets other work run as soon as the pass with a number, counted from 1, has found no more rows. */
function interrupted(store: DataKeyStore): { readonly store: DataKeyStore; arm(at: number, meanwhile: () => Promise<void>): void } {
  let left = 0;
  let run: () => Promise<void> = async () => undefined;
  const scan: DataKeyStore["scan"] = async (page, options) => {
    const rows = await store.scan(page, options);
    if (rows.length === 0 && --left === 0) await run();
    return rows;
  };
  return {
    store: { ...store, scan },
    arm(at, meanwhile) {
      [left, run] = [at, meanwhile];
    },
  };
}

function times<T>(value: T, count: number): readonly T[] {
  return Array.from({ length: count }, () => value);
}

/** The keys that wrap and unwrap: a change of them is another generation. */
function shapeOf({ keys }: TenantRecord): string {
  return keys.map(({ number, role }) => `${number} ${role}`).join(", ");
}
