import { afterAll, expect, test } from "vitest";
import { pkcs11Key, pkcs11Token } from "../../../providers/pkcs11/index.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusal } from "../../support/refusal.ts";
import { faultShim } from "./fault-shim.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken } from "./tokens.ts";

// NSS in FIPS mode: another name of the token, no sensitive key from outside, nothing without a login.

const nss = nssToken();
const [token] = nss.tokens;
const { module } = faultShim(token.module, nss.folder, "FC_GetFunctionList");
const inFips = { ...locationOf(token), module, token: { label: "NSS FIPS 140-2 Certificate DB" } };
afterAll(() => nss.remove());

test("the name that the token has otherwise is answered with the one that it has", async () => {
  const key = pkcs11Key({ ...inFips, token: { label: token.label }, key: { label: "orders" } });
  const failure = await refusal(() => key.current());
  expect(failure).toMatchObject({ code: "key-not-found", detail: "token-missing" });
  expect(failure.hint).toContain('"NSS FIPS 140-2 Certificate DB"; NSS runs in FIPS mode');
  await key.close();
});

test("a key is made there, and opens what it wraps", async () => {
  const setUp = pkcs11Token(inFips);
  expect((await setUp.selfTest()).filter(({ failure }) => failure !== undefined)).toEqual([]);
  for (const type of ["aes-256", "rsa-2048"] as const) {
    await setUp.generateKey({ type, label: type });
    const key = pkcs11Key({ ...inFips, key: { label: type } });
    expect(hexOf(await key.unwrap(await key.wrap(DEK, OPTIONS), OPTIONS))).toBe(hexOf(DEK));
    await key.close();
  }
  await setUp.close();
});
