import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noise } from "../../support/arbitraries.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";
import { built, DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken, softHsmTokens, type TestToken } from "./tokens.ts";

// The thread's entry is a bundled file, so here the package is what `npm run build` made.
const [{ pkcs11Key, pkcs11Random, pkcs11TenantKeys }, { conformance }]: [
  typeof import("../../../providers/pkcs11/index.ts"),
  typeof import("../../../providers/conformance/index.ts"),
] = await Promise.all([import(built("providers/pkcs11.js")), import(built("providers/conformance.js"))]);

const softHsm = softHsmTokens("thread");
const nss = nssToken();
afterAll(() => {
  softHsm.remove();
  nss.remove();
});
const [token] = softHsm.tokens;

describe.each([
  ["SoftHSM", token],
  ["NSS", nss.tokens[0]],
] as const)("a library in a thread of its own, %s", (_module, on) => {
  let keys = 0;
  const addKey = (label: string): void => on.addKey({ label, id: `0a${(++keys).toString(16).padStart(2, "0")}`, aes: noise(32, keys) });
  addKey("kek");
  addKey("kek 2");
  const harness = {
    bindsContext: true,
    alsoUnwraps: [6, 7],
    flips: "each-byte",
    secrets: [Buffer.from(on.pin)],
    open: () => inThread(on, "kek"),
    openOther: () => inThread(on, "kek 2"),
    rotate: () => addKey("kek"),
    withEmptyEnvironment,
  } as const;
  const keeper = inThread(on, "kek"); // or each case would start a thread of its own
  beforeAll(() => keeper.current());
  afterAll(() => keeper.close());
  for (const { name, run } of conformance(harness)) test(name, run);
});

test("an error arrives as it was thrown, with its cause, and the PIN stays out of it", async () => {
  const provider = pkcs11Key({ ...locationOf(token), pin: () => "not-the-pin", key: { label: "kek" }, thread: true });
  const error = await failure(() => provider.wrap(DEK, OPTIONS));
  expect(error).toMatchObject({ code: "access-denied", detail: "pin", retryable: false });
  expect(error).toMatchObject({ cause: { name: "CryptokiError", functionName: "C_Login", returnValue: 0xa0 } });
  expect(JSON.stringify(error) + String(error)).not.toContain("not-the-pin");
  await provider.close();
});

test("a PIN is asked for in the thread of the caller that gave the function", async () => {
  let asked = 0;
  const pin = async (): Promise<string> => {
    asked++;
    if (asked === 1) throw new Error("the prompt was closed");
    return token.pin;
  };
  const provider = pkcs11Key({ ...locationOf(token), pin, key: { label: "kek" }, thread: true });
  expect(await failure(() => provider.wrap(DEK, OPTIONS))).toMatchObject({
    code: "access-denied",
    cause: { message: "the prompt was closed" },
  });
  await provider.wrap(DEK, OPTIONS);
  await provider.wrap(DEK, OPTIONS);
  expect(asked).toBe(2);
  await provider.close();
});

test("a library is in one thread: the other value of `thread` is refused while it is in use", async () => {
  const inOwn = inThread(token, "kek");
  await inOwn.current();
  const here = pkcs11Key({ ...locationOf(token), key: { label: "kek" } });
  expect(await failure(() => here.current())).toMatchObject({ code: "invalid-argument" });
  await inOwn.close();
  await here.current();
  const again = inThread(token, "kek");
  expect(await failure(() => again.current())).toMatchObject({ code: "invalid-argument" });
  await here.close();
  await again.current();
  await again.close();
});

test("random bytes come from the thread too", async () => {
  const random = pkcs11Random({ ...locationOf(token), thread: true });
  expect((await random.randomBytes(48)).length).toBe(48);
  await random.close();
});

test("the doctor of a tenant's key looks from the thread: a key that wraps, a label that is not there, and a PIN that is wrong", async () => {
  const { module, label, pin } = token;
  const placeOf = ({ tenant }: { readonly tenant: string }) => ({ token: { label }, pin: () => (tenant === "acme" ? pin : "not-the-pin") });
  const open = pkcs11TenantKeys({ modules: { hsm: { module, thread: true, placeOf } } });
  const diagnosed = async (key: string, tenant: string) => {
    const identity = { tenant, epoch: 1, externalId: "x".repeat(32), settings: {} };
    return await open.diagnose?.({ kind: "pkcs11", key }, identity, { signal: AbortSignal.timeout(60_000) });
  };
  expect(await diagnosed("kek", "acme")).toMatchObject([{ check: "key", status: "ok" }]);
  expect(await diagnosed("no such label", "acme")).toMatchObject([{ check: "key", status: "failed", code: "key-not-found" }]);
  expect(await diagnosed("kek", "mallory")).toMatchObject([{ check: "key", status: "failed", code: "access-denied" }]);
});

test.each([true, false])("a process that closes nothing ends by itself, thread: %s", (thread) => {
  const { module, label, pin } = token;
  const options = { module, token: { label }, key: { label: "kek" }, thread };
  const program = `
    import { pkcs11Key } from ${JSON.stringify(built("providers/pkcs11.js"))};
    const provider = pkcs11Key({ ...${JSON.stringify(options)}, pin: () => ${JSON.stringify(pin)} });
    const recipient = await provider.wrap(new Uint8Array(32), { keyContext: {}, wrapAad: () => new Uint8Array(8) });
    console.log(recipient.wrapped.length);
  `;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  expect({ status, signal, stdout, stderr }).toEqual({ status: 0, signal: null, stdout: "60\n", stderr: "" });
});

function inThread(on: TestToken, label: string): ReturnType<typeof pkcs11Key> {
  return pkcs11Key({ ...locationOf(on), key: { label }, thread: true });
}

async function failure(call: () => Promise<unknown>): Promise<unknown> {
  return await call().then(
    () => undefined,
    (error: unknown) => error,
  );
}
