import pkcs11js from "pkcs11js";
import { afterAll, afterEach, expect, test } from "vitest";
import { type Pkcs11KeyOptions, pkcs11Key, pkcs11Random, pkcs11Token, pkcs11Tokens } from "../../../providers/pkcs11/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusal } from "../../support/refusal.ts";
import { faultShim } from "./fault-shim.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { softHsmTokens } from "./tokens.ts";

// Tokens lock after a few wrong PINs: three on many of them. SoftHSM never does, so the shim says what such a token would say.

const softHsm = softHsmTokens("pins");
const [token] = softHsm.tokens;
const shim = faultShim(token.module, softHsm.folder);
token.addKey({ label: "kek", id: "01", aes: noise(32, "kek") });
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  shim.pose();
  for (const each of opened.splice(0)) await each.close();
  logins(); // the next test counts its own
});
afterAll(() => softHsm.remove());

const [COUNT_LOW, FINAL_TRY, LOCKED] = [0x10000, 0x20000, 0x40000];

test("a PIN that was refused is shown by no other provider of this process", async () => {
  const pin = () => "wrong for all";
  for (let round = 0; round < 3; round++) {
    const failure = await refusal(() => open({ pin }).wrap(DEK, OPTIONS));
    expect(failure).toMatchObject({
      code: "access-denied",
      detail: "pin",
      retryable: false,
      hint: expect.stringContaining("correct the PIN"),
    });
  }
  const random = pkcs11Random({ ...locationOf(token), module: shim.module, pin });
  const setUp = pkcs11Token({ ...locationOf(token), module: shim.module, pin });
  opened.push(random, setUp);
  for (const use of [() => random.randomBytes(32), () => setUp.keys()])
    expect((await refusal(use)).message).toContain("refused this PIN before");
  expect(logins()).toBe(1);
  await open().wrap(DEK, OPTIONS);
  expect(logins()).toBe(1);
});

test("many at once show it once", async () => {
  const key = open({ pin: async () => "wrong at once" });
  const others = [open({ pin: async () => "wrong at once" }), open({ pin: async () => "wrong at once" })];
  const failures = await Promise.all([key, key, ...others].map((each) => refusal(() => each.wrap(DEK, OPTIONS))));
  expect(failures.map(({ detail }) => detail)).toEqual(["pin", "pin", "pin", "pin"]);
  expect(logins()).toBe(1);
});

test.each([
  ["locks at the next wrong one", FINAL_TRY, "pin-last-try"],
  ["is locked", LOCKED, "pin-locked"],
])("a token that %s is shown none, and the PIN is not even asked for", async (_state, flags, detail) => {
  shim.pose({ flags });
  let asked = 0;
  const pin = (): string => {
    asked++;
    return token.pin;
  };
  expect(await refusal(() => open({ pin }).wrap(DEK, OPTIONS))).toMatchObject({ code: "access-denied", detail, retryable: false });
  expect([logins(), asked]).toEqual([0, 0]);
});

test("the last try is used where the options ask for it", async () => {
  shim.pose({ flags: FINAL_TRY });
  await open({ dangerLastPinTry: true }).wrap(DEK, OPTIONS);
  expect(logins()).toBe(1);
});

test.each([
  ["counts", COUNT_LOW, "counts wrong ones"],
  ["locks at the next one", COUNT_LOW | FINAL_TRY, "one more wrong one"],
])("a refusal says that the token %s", async (state, flags, said) => {
  shim.pose({ flags });
  const { hint } = await refusal(() => open({ pin: () => `wrong: ${state}`, dangerLastPinTry: true }).wrap(DEK, OPTIONS));
  expect(hint).toContain(said);
});

test("the state of the PIN stands in the list of tokens", async () => {
  shim.pose({ flags: COUNT_LOW });
  expect(await pkcs11Tokens({ module: shim.module })).toContainEqual(expect.objectContaining({ label: "pins", pin: "few tries left" }));
});

test.each([
  ["CKR_PIN_INCORRECT", pkcs11js.CKR_PIN_INCORRECT],
  ["CKR_PIN_INVALID", pkcs11js.CKR_PIN_INVALID],
  ["CKR_PIN_LEN_RANGE", pkcs11js.CKR_PIN_LEN_RANGE],
])("%s counts as a refusal", async (name, returnValue) => {
  shim.inject("C_Login", { returnValue, times: 1 });
  const pin = (): string => `refused with ${name}`;
  for (let round = 0; round < 2; round++) expect((await refusal(() => open({ pin }).wrap(DEK, OPTIONS))).detail).toBe("pin");
  expect(logins()).toBe(1);
  shim.heal();
});

function open(options: Partial<Pkcs11KeyOptions> = {}): ReturnType<typeof pkcs11Key> {
  const key = pkcs11Key({ ...locationOf(token), module: shim.module, key: { label: "kek" }, ...options });
  opened.push(key);
  return key;
}

/** How many PINs were shown since this was asked last. */
function logins(): number {
  return shim.calls().filter((name) => name === "C_Login").length;
}
