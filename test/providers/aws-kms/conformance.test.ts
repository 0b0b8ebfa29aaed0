import { afterAll, describe, test } from "vitest";
import { type AwsKmsKeyOptions, awsKmsKey } from "../../../providers/aws-kms/index.ts";
import { type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import type { ErrorCode } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { AwsKmsEmulator, type KmsKeyTraits } from "../../../src/testing/aws-kms-emulator/index.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";

const emulator = await AwsKmsEmulator.start();
afterAll(() => emulator.close());

check("a symmetric key", {}, {});
check("a symmetric key whose material is tracked", {}, { trackMaterial: true });
check("a multi-region key", { multiRegion: true, region: "us-east-1" }, { trackMaterial: true });
check("an RSA key", { spec: "RSA_2048" }, { keyType: "rsa" });

function check(what: string, traits: KmsKeyTraits, options: Partial<AwsKmsKeyOptions>): void {
  const keyArn = emulator.createKey(traits);
  const otherArn = emulator.createKey(traits);
  const isTracked = options.trackMaterial === true;
  const open = (arn: string): KeyProvider => awsKmsKey({ ...emulator.connection, ...options, keyArn: arn });
  const harness: ConformanceHarness = {
    bindsContext: options.keyType !== "rsa",
    flips: "each-byte",
    secrets: [Buffer.from(emulator.credentials.secretAccessKey)],
    hostileKeyIds: [
      otherArn,
      `${keyArn}#`,
      `${keyArn}#0`,
      `${keyArn}#${"A".repeat(64)}`,
      `${keyArn}##${"a".repeat(64)}`,
      `${keyArn} `,
      keyArn.toUpperCase(),
      keyArn.replace(/:key\/.*/, ":alias/orders"),
      keyArn.replace("arn:aws:", "arn:aws-cn:"),
      keyArn.replace(/kms:[a-z0-9-]+/, "kms:ap-south-1"),
      keyArn.split("/")[1] ?? "",
    ],
    open: () => open(keyArn),
    openOther: () => open(otherArn),
    ...(isTracked && { rotate: () => void emulator.rotate(keyArn) }),
    calls: () => emulator.requests.length,
    maxCalls: { wrap: isTracked ? 2 : 1, unwrap: 1, current: 1 },
    failures: failures(),
    hold: () => emulator.holdNext(),
    withEmptyEnvironment,
  };
  describe(what, () => {
    for (const { name, run } of conformance(harness)) test(name, run);
  });
}

function failures(): Partial<Record<ErrorCode, () => void>> {
  return {
    "access-denied": () => emulator.failNext("AccessDeniedException"),
    "key-disabled": () => emulator.failNext("DisabledException"),
    "key-not-found": () => emulator.failNext("NotFoundException"),
    "rate-limited": () => emulator.failNext("ThrottlingException"),
    unavailable: () => emulator.failNext("KMSInternalException"),
    "provider-failure": () => emulator.failNext({ status: 418, text: "" }),
  };
}
