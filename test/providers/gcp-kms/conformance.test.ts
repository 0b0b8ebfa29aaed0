import { afterAll, describe, test } from "vitest";
import { type BackendFailure, type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import { type GcpKmsKeyOptions, gcpKmsKey } from "../../../providers/gcp-kms/index.ts";
import type { ErrorCode } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { GcpKmsEmulator, type KeyTraits } from "../../../src/testing/gcp-kms-emulator/index.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";

const emulator = await GcpKmsEmulator.start();
afterAll(() => emulator.close());

check("software", {}, {});
check("hsm", { protectionLevel: "HSM" }, {});
check("external", { protectionLevel: "EXTERNAL" }, {});
check("software-whose-version-is-read", {}, { verifyVersion: true });
check("rsa", { algorithm: "RSA_DECRYPT_OAEP_2048_SHA256", protectionLevel: "HSM" }, { keyType: "rsa" });

function check(kind: string, traits: KeyTraits, more: Partial<GcpKmsKeyOptions>): void {
  const isRsa = more.keyType === "rsa";
  const [name, other] = [emulator.createKey(`orders-${kind}`, traits), emulator.createKey(`orders-${kind}-2`, traits)];
  let newest = 1;
  const open = (key: string, version: number): KeyProvider => {
    return gcpKmsKey({ ...emulator.connection, key, ...more, ...(isRsa && { version }) });
  };
  const harness: ConformanceHarness = {
    bindsContext: !isRsa,
    flips: isRsa ? "each-byte" : "each-bit",
    secrets: [Buffer.from(emulator.token)],
    hostileKeyIds: [
      name,
      `${name}/cryptoKeyVersions/`,
      `${name}/cryptoKeyVersions/0`,
      `${name}/cryptoKeyVersions/01`,
      `${name}/cryptoKeyVersions/1e0`,
      `${name}/cryptoKeyVersions/1 `,
      `${name}/cryptoKeyVersions/1:destroy`,
      `${name}/cryptoKeyVersions/1/`,
      `${name}/cryptoKeyVersions/1234567890`,
      `${name}-2/cryptoKeyVersions/1`,
      `${name.replace("projects/acme", "projects/123456789012")}/cryptoKeyVersions/1`,
      `//cloudkms.googleapis.com/${name}/cryptoKeyVersions/1`,
    ],
    open: () => open(name, newest),
    openOther: () => open(other, 1),
    rotate: () => {
      newest = emulator.rotate(name);
    },
    calls: () => emulator.requests.length,
    maxCalls: isRsa ? { wrap: 0, unwrap: 1, current: 0 } : { wrap: 1, unwrap: more.verifyVersion === true ? 2 : 1, current: 1 },
    failures: failures(),
    hold: () => emulator.holdNext(),
    withEmptyEnvironment,
  };
  describe(kind, () => {
    for (const { name: what, run } of conformance(harness)) test(what, run);
  });
}

function failures(): Partial<Record<ErrorCode, BackendFailure>> {
  return {
    "access-denied": () => emulator.failNext("permission-denied"),
    "key-disabled": () => emulator.failNext("disabled"),
    "key-not-found": () => emulator.failNext("not-found"),
    "rate-limited": () => emulator.failNext("quota"),
    unavailable: () => emulator.failNext("unavailable"),
    timeout: () => emulator.failNext("deadline"),
    "provider-failure": () => emulator.failNext({ status: 418, text: "" }),
  };
}
