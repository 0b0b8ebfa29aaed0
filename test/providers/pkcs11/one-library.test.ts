import pkcs11js, { type PKCS11 } from "pkcs11js";
import { afterAll, expect, test } from "vitest";
import { pkcs11Key } from "../../../providers/pkcs11/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusal } from "../../support/refusal.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken, softHsmTokens, type TestToken } from "./tokens.ts";

// A process has one state for each library, for all its users: here it is also used past the provider.

const softHsm = softHsmTokens("shared");
const nss = nssToken();
afterAll(() => {
  softHsm.remove();
  nss.remove();
});
const [token] = softHsm.tokens;
const [onNss] = nss.tokens;
for (const each of [token, onNss]) each.addKey({ label: "kek", id: "01", aes: noise(32, "kek") });

test("a library that another user has initialised is left to it", async () => {
  const theirs = initialised(token);
  const slot = theirs.C_GetSlotList(true).find((candidate) => theirs.C_GetTokenInfo(candidate).label.trim() === "shared");
  const session = theirs.C_OpenSession(slot ?? Buffer.alloc(8), pkcs11js.CKF_SERIAL_SESSION);
  const provider = open(token);
  await provider.wrap(DEK, OPTIONS);
  await provider.close();
  expect(theirs.C_GetSessionInfo(session).flags).toBe(pkcs11js.CKF_SERIAL_SESSION);
  theirs.C_Finalize();
});

test("a library that another user finalises is lost once, and then initialised anew", async () => {
  const provider = open(token);
  const recipient = await provider.wrap(DEK, OPTIONS);
  library(token).C_Finalize();
  expect(await refusal(() => provider.unwrap(recipient, OPTIONS))).toMatchObject({ code: "unavailable", detail: "token-lost" });
  expect(Buffer.from(await provider.unwrap(recipient, OPTIONS))).toEqual(Buffer.from(DEK));
  await provider.close();
});

test("a library stays initialised after the last of us, for the next: some do damage when they are finalised twice", async () => {
  const [first, second] = [open(onNss), open(onNss)];
  const recipient = await first.wrap(DEK, OPTIONS);
  await second.current();
  await first.close();
  await second.close();
  expect(() => initialised(onNss)).toThrow("CKR_CRYPTOKI_ALREADY_INITIALIZED");
  const third = open(onNss);
  expect(Buffer.from(await third.unwrap(recipient, OPTIONS))).toEqual(Buffer.from(DEK));
  await third.close();
});

function open(on: TestToken): ReturnType<typeof pkcs11Key> {
  return pkcs11Key({ ...locationOf(on), key: { label: "kek" } });
}

function library({ module }: TestToken): PKCS11 {
  const pkcs11 = new pkcs11js.PKCS11();
  pkcs11.load(module);
  return pkcs11;
}

/** Fails if it is initialised. */
function initialised(on: TestToken): PKCS11 {
  const pkcs11 = library(on);
  const { libraryParameters } = on;
  pkcs11.C_Initialize({
    flags: pkcs11js.CKF_OS_LOCKING_OK,
    ...(libraryParameters !== undefined && { libraryParameters: `${libraryParameters} ` }),
  });
  return pkcs11;
}
