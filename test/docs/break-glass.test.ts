import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { x25519 } from "@noble/curves/ed25519.js";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { threshold } from "../../providers/composite/index.ts";
import { localKeyPair } from "../../providers/local/index.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { FakeKeyService } from "../../src/testing/tenants/index.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { kek } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { vendor } from "../tenants/bench.ts";
import { blocksOf, ROOT, writeBlock } from "./code-blocks.ts";

// The code of docs/tenants.md for emergencies, run: two of tenant, platform and officer open, and never without approvals.

const EMERGENCY = { tenant: "acme", reason: "the vault burnt down", untilMs: Date.parse("2026-11-26T13:00:00Z") };
const approver = () => generateKeyPairSync("ed25519");
const [ada, grace] = [approver(), approver()];
const approvers = new Map([
  ["ada", ada.publicKey],
  ["grace", grace.publicKey],
]);
const officer = x25519.keygen();
const platform = kek("platform");
const keys = { platform, officer: localKeyPair({ keyId: "officer-2026", publicKey: officer.publicKey, privateKey: officer.secretKey }) };
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(ROOT, "test/docs/.blocks-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => void vi.useRealTimers());

async function block() {
  const found = blocksOf("docs/tenants.md").find(({ code }) => code.join("\n").includes("export function breakGlass"));
  if (found === undefined) throw new Error("the page has no such block");
  return await import(writeBlock(folder, found));
}

function signatureOf(privateKey: KeyObject, { tenant, reason, untilMs }: typeof EMERGENCY = EMERGENCY): Uint8Array {
  return sign(null, Buffer.from(JSON.stringify(["break-glass", tenant, reason, untilMs])), privateKey);
}

/** An envelope of a tenant that brought a key, which is gone for good. */
async function orphaned() {
  const service = new FakeKeyService({ clock: fakeClock() });
  const open = (await block()).withOfficer(service.opener, platform, officer.publicKey);
  const bench = vendor({ open, grantSpreadMs: 0 });
  const { tenants } = bench;
  service.addKey("vaults/acme/keys/saas");
  await tenants.invite("acme");
  await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/saas" });
  expect((await tenants.verify("acme")).level).not.toBe("failed");
  await tenants.activate("acme");
  const envelope = await (await tenants.keyring("acme")).encryptText("for acme");
  service.setMode("vaults/acme/keys/saas", "deleted");
  return { envelope, elsewhere: bench.another() };
}

describe("break glass", () => {
  test("the vendor's processes open nothing without the tenant, and the officer does with two approvals, until the end", async () => {
    const { envelope, elsewhere } = await orphaned();
    expect(await refusalCode(async () => await (await elsewhere.keyring("acme")).decryptText(envelope))).toBe("key-not-found");
    const publicHalf: KeyProvider = localKeyPair({ keyId: "officer-2026", publicKey: officer.publicKey });
    const group = threshold({ keyId: "acme-2026", needed: 2, providers: [platform, publicHalf] });
    expect(
      await refusalCode(() => new Keyring({ wrapWith: [], unwrapWith: [group], context: { tenant: "acme" } }).decryptText(envelope)),
    ).toBe("no-matching-provider");
    const { breakGlass } = await block();
    const signatures = new Map([
      ["ada", signatureOf(ada.privateKey)],
      ["grace", signatureOf(grace.privateKey)],
    ]);
    const told: object[] = [];
    vi.useFakeTimers({ now: EMERGENCY.untilMs - 3_600_000, toFake: ["setTimeout", "clearTimeout", "Date"] });
    const keyring: Keyring = breakGlass(EMERGENCY, signatures, approvers, keys, (event: object) => told.push(event));
    expect(told).toEqual([{ type: "escrow-used", ...EMERGENCY, approvedBy: ["ada", "grace"] }]);
    expect(await keyring.decryptText(envelope)).toBe("for acme");
    expect(told).toContainEqual(expect.objectContaining({ operation: "decrypt", reason: EMERGENCY.reason }));
    vi.advanceTimersByTime(3_600_000);
    expect(await refusalCode(() => keyring.decryptText(envelope))).toBe("closed");
  });

  test.each<readonly [string, typeof EMERGENCY, ReadonlyMap<string, Uint8Array>]>([
    ["no approval", EMERGENCY, new Map()],
    ["one", EMERGENCY, new Map([["ada", signatureOf(ada.privateKey)]])],
    [
      "two by one approver",
      EMERGENCY,
      new Map([
        ["ada", signatureOf(ada.privateKey)],
        ["grace", signatureOf(ada.privateKey)],
      ]),
    ],
    [
      "one by a stranger",
      EMERGENCY,
      new Map([
        ["ada", signatureOf(ada.privateKey)],
        ["eve", signatureOf(approver().privateKey)],
      ]),
    ],
    ["approvals of another tenant's", EMERGENCY, bothFor({ ...EMERGENCY, tenant: "globex" })],
    ["approvals for another reason", EMERGENCY, bothFor({ ...EMERGENCY, reason: "curiosity" })],
    ["approvals of an earlier end", EMERGENCY, bothFor({ ...EMERGENCY, untilMs: EMERGENCY.untilMs - 1 })],
    ["an end that has passed", { ...EMERGENCY, untilMs: 0 }, bothFor({ ...EMERGENCY, untilMs: 0 })],
    ["an end that is none", { ...EMERGENCY, untilMs: Number.NaN }, bothFor({ ...EMERGENCY, untilMs: Number.NaN })],
  ])("%s is not enough", async (_what, emergency, signatures) => {
    const { breakGlass } = await block();
    vi.useFakeTimers({ now: EMERGENCY.untilMs - 3_600_000, toFake: ["setTimeout", "clearTimeout", "Date"] });
    const told: object[] = [];
    expect(() => breakGlass(emergency, signatures, approvers, keys, (event: object) => told.push(event))).toThrow("two approvals");
    expect(told).toEqual([]);
  });
});

function bothFor(emergency: typeof EMERGENCY): ReadonlyMap<string, Uint8Array> {
  return new Map([
    ["ada", signatureOf(ada.privateKey, emergency)],
    ["grace", signatureOf(grace.privateKey, emergency)],
  ]);
}
