import { generateKeyPairSync, type KeyObject } from "node:crypto";
import pkcs11js from "pkcs11js";
import { afterAll, describe, test } from "vitest";
import { type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import { type Pkcs11KeyOptions, type Pkcs11Mechanism, pkcs11Key } from "../../../providers/pkcs11/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";
import { locationOf } from "./location.ts";
import { nssToken, softHsmTokens, type TestToken } from "./tokens.ts";

const softHsm = softHsmTokens("orders");
const nss = nssToken();
afterAll(() => {
  softHsm.remove();
  nss.remove();
});

const [otherPair, ...pairs] = [1, 2, 3].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);

let keys = 0; // NSS takes a second key of one id for the first

const [onSoftHsm] = softHsm.tokens;
const [onNss] = nss.tokens;
check("SoftHSM", onSoftHsm, "aes-gcm", {});
check("SoftHSM", onSoftHsm, "aes-kw", { mechanism: "aes-kw" });
check("SoftHSM", onSoftHsm, "rsa-oaep-sha1", {});
check("NSS", onNss, "aes-gcm", {});
check("NSS", onNss, "aes-kw", { mechanism: "aes-kw" });
check("NSS", onNss, "aes-kwp", { mechanism: "aes-kwp" });
check("NSS", onNss, "rsa-oaep-256", {});
check("NSS", onNss, "rsa-oaep-256", { mechanism: "rsa-oaep-256", rsaWrap: "local" });

function check(module: string, token: TestToken, wrapping: Pkcs11Mechanism, options: Partial<Pkcs11KeyOptions>): void {
  describe(`${module} ${wrapping} ${JSON.stringify(options)}`, () => {
    for (const { name, run } of conformance(harnessOf(token, wrapping, options))) test(name, run);
  });
}

function harnessOf(token: TestToken, wrapping: Pkcs11Mechanism, options: Partial<Pkcs11KeyOptions>): ConformanceHarness {
  const label = [wrapping, ...Object.values(options)].join(" ");
  const isAes = wrapping.startsWith("aes");
  const addKey = (of: string, rsa: KeyObject | undefined, attributes: Readonly<Record<number, boolean>> = {}): void => {
    const key = { label: of, id: (++keys).toString(16).padStart(4, "0"), attributes };
    token.addKey(isAes || rsa === undefined ? { ...key, aes: noise(32, keys) } : { ...key, rsa });
  };
  const rotate = (): void => addKey(label, pairs[keys % pairs.length]);
  rotate();
  addKey(`${label} 2`, otherPair);
  addKey(`${label} one way`, otherPair, { [pkcs11js.CKA_DECRYPT]: false, [pkcs11js.CKA_UNWRAP]: false });
  const open = (key: string) => pkcs11Key({ ...locationOf(token), key: { label: key }, ...options });
  return {
    bindsContext: wrapping === "aes-gcm",
    alsoUnwraps: options.mechanism === undefined && !isAes ? [3, 8] : [], // an AES key is bound to the one that it wraps with
    flips: isAes ? "each-bit" : "each-byte",
    secrets: [Buffer.from(token.pin)],
    hostileKeyIds: [
      `pkcs11:token=${token.label};object=${label};id=%01;serial=${token.serial}x/`,
      `pkcs11:token=other;object=${label};id=%01;serial=${token.serial}`,
      `pkcs11:token=${token.label};object=${label};id=%01;serial=${token.serial}?module-path=/tmp/evil.so`,
      `pkcs11:slot-id=0;object=${label};id=%01`,
    ],
    open: () => open(label),
    openOther: () => open(`${label} 2`),
    openOneWay: () => open(`${label} one way`),
    rotate,
    withEmptyEnvironment,
  };
}
