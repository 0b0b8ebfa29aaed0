import { describe, expect, test } from "vitest";
import { refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

// C7 and C8 of the incidents in full: nothing of one tenant opens through another, whatever it is, whichever keys the two have, and whatever
// is in memory. Where the keys differ, no key is called.

/** The keys of the two tenants. */
const KEYS = ["own keys", "a platform's and an own key", "an own and a platform's key", "the platform's key", "a shared key"] as const;
type Keys = (typeof KEYS)[number] | "a shared key that ignores the context";
const SAME: ReadonlySet<Keys> = new Set<Keys>(["the platform's key", "a shared key", "a shared key that ignores the context"]);

/** What happens between the making and the theft. */
const MEANWHILE = ["nothing", "the owner moves", "the thief moves", "the thief takes the key that the owner left"] as const;

interface Sealed {
  /** Opens it as its owner does. */
  own(): Promise<unknown>;
  /** Makes what the other tenant asks its own keys for. */
  prepare?(): Promise<unknown>;
  /** Opens it as the other tenant. */
  stolen(): Promise<unknown>;
}

const WHAT: Readonly<Record<string, (bench: Vendor) => Promise<Sealed>>> = {
  "an envelope": async ({ tenants }) => {
    const envelope = await (await tenants.keyring("owner")).encryptText("x");
    const open = async (id: string): Promise<unknown> => await (await tenants.keyring(id)).decryptText(envelope);
    return { own: () => open("owner"), stolen: () => open("thief") };
  },
  "a stream": async ({ tenants }) => {
    const body = new Blob(["x"]).stream().pipeThrough((await tenants.keyring("owner")).encryptStream());
    const envelope = new Uint8Array(await new Response(body).arrayBuffer());
    const open = async (id: string): Promise<unknown> =>
      await new Response(new Blob([envelope]).stream().pipeThrough((await tenants.keyring(id)).decryptStream())).text();
    return { own: () => open("owner"), stolen: () => open("thief") };
  },
  "a bare key record": async ({ tenants }) => {
    const { dataKey, keyRecord } = await (await tenants.keyring("owner")).createDataKey();
    dataKey.destroy();
    const open = async (id: string): Promise<unknown> => {
      const opened = await (await tenants.keyring(id)).unwrapDataKey(keyRecord);
      opened.destroy();
      return "x";
    };
    return { own: () => open("owner"), stolen: () => open("thief") };
  },
  "an envelope that is to be rewrapped": async ({ tenants }) => {
    const envelope = await (await tenants.keyring("owner")).encryptText("x");
    const open = async (id: string): Promise<unknown> => await (await tenants.keyring(id)).rewrap(envelope);
    return { own: () => open("owner"), stolen: () => open("thief") };
  },
  "a token": async ({ tenants }) => {
    const field = async (id: string) => await (await tenants.dataKeys(id)).field({ table: "users", column: "email" });
    const token = (await field("owner")).encrypt("x");
    return {
      own: async () => (await field("owner")).decrypt(token),
      prepare: () => field("thief"),
      stolen: async () => await (await field("thief")).decryptAsync(token),
    };
  },
  "a token with the row of its data key planted in the other's scope": async ({ tenants, dataKeyStore }) => {
    const field = async (id: string, project: string) =>
      await (await tenants.dataKeys(id)).field({ table: "users", column: "email", scope: { project } });
    const token = (await field("owner", "1")).encrypt("x");
    const [row] = await dataKeyStore.scan({ limit: 10 });
    if (row === undefined) throw new Error("no row");
    await field("thief", "2");
    const theirs = (await dataKeyStore.scan({ limit: 10 })).find(({ scope }) => scope !== row.scope);
    if (theirs === undefined) throw new Error("no other row");
    return {
      own: async () => (await field("owner", "1")).decrypt(token),
      prepare: () => field("thief", "2"),
      async stolen() {
        expect(await dataKeyStore.insertIfAbsent({ ...row, scope: theirs.scope, version: 2 })).toBe(true);
        return await (await field("thief", "2")).decryptAsync(token);
      },
    };
  },
};

describe.each(Object.keys(WHAT))("%s", (what) => {
  test.each([...KEYS, "a shared key that ignores the context"] as const)("with %s", async (keys) => {
    for (const meanwhile of MEANWHILE) {
      for (const isCached of [false, true]) {
        const bench = vendor();
        await onboard(bench, keys);
        const sealed = await WHAT[what]?.(bench);
        if (sealed === undefined) throw new Error("nothing sealed");
        if (isCached) await sealed.own();
        await happen(bench, meanwhile);
        if (isCached && meanwhile !== "the thief takes the key that the owner left") await sealed.own();
        await sealed.prepare?.();
        const calls = callsOf(bench);
        const outcome = await refusalCode(sealed.stolen);
        expect([meanwhile, isCached, REFUSED.has(outcome)], outcome).toEqual([meanwhile, isCached, true]);
        const mayCall = SAME.has(keys) || meanwhile === "the thief takes the key that the owner left";
        if (!mayCall) expect([meanwhile, isCached, callsOf(bench)]).toEqual([meanwhile, isCached, calls]);
        await bench.tenants.close();
      }
    }
  });
});

const REFUSED: ReadonlySet<string> = new Set(["no-matching-provider", "authentication-failed", "unwrap-rejected"]);

async function onboard(bench: Vendor, keys: Keys): Promise<void> {
  const { tenants, service } = bench;
  const isShared = keys.startsWith("a shared key");
  if (isShared) service.addKey("vaults/both/keys/saas");
  for (const [at, id] of ["owner", "thief"].entries()) {
    await tenants.invite(id);
    if (isShared) await tenants.stage(id, { kind: "fake", key: "vaults/both/keys/saas", shareable: true });
    else if (keys === "own keys" || (keys.startsWith("an own") ? at === 0 : at === 1 && keys !== "the platform's key")) {
      service.addKey(`vaults/${id}/keys/saas`);
      await tenants.stage(id, { kind: "fake", key: `vaults/${id}/keys/saas` });
    }
    if ((await tenants.show(id)).staged !== null) expect((await tenants.verify(id)).level).toBe("ok");
    await tenants.activate(id);
  }
  if (keys.endsWith("ignores the context")) service.setMode("vaults/both/keys/saas", "context-ignored");
}

async function happen(bench: Vendor, meanwhile: (typeof MEANWHILE)[number]): Promise<void> {
  if (meanwhile === "the owner moves") await move(bench, "owner", "vaults/owner/keys/second");
  if (meanwhile === "the thief moves") await move(bench, "thief", "vaults/thief/keys/second");
  if (meanwhile !== "the thief takes the key that the owner left") return;
  const [left] = (await bench.tenants.show("owner")).keys;
  await move(bench, "owner", "vaults/owner/keys/second");
  await bench.tenants.forgetKeys("owner");
  if (left?.kind === "fake" && !left.shareable) await move(bench, "thief", left.key);
}

async function move({ tenants, service, clock }: Vendor, id: string, name: string): Promise<void> {
  if (name.endsWith("second")) service.addKey(name);
  await tenants.stage(id, { kind: "fake", key: name });
  await clock.advance(10_000); // one verification in ten seconds
  await tenants.verify(id);
  expect((await clock.finish(tenants.move(id))).step).toBe("retired");
}

function callsOf({ service, platform }: Vendor): readonly number[] {
  return [service.calls(), platform.calls.length];
}
