import { afterAll, beforeEach, expect, test } from "vitest";
import { type DiagnoseAwsKmsKeyOptions, diagnoseAwsKmsKey } from "../../../providers/aws-kms/index.ts";
import { AwsKmsEmulator } from "../../../src/testing/aws-kms-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const emulator = await AwsKmsEmulator.start();
afterAll(() => emulator.close());
const KEY_ARN = emulator.createKey();
const RSA_ARN = emulator.createKey({ spec: "RSA_2048" });
beforeEach(() => {
  emulator.clearFaults();
  emulator.setState(KEY_ARN, "Enabled");
});
const LEAST = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"];
const EVERY = [
  ...["credentials", "key", "state", "key-type", "expiry", "recovery", "rotation", "excess-rights", "administrators"],
  ...["wrap", "unwrap", "context", "latency"],
];

/** The status of each check, by its name. */
async function statuses(options: Partial<DiagnoseAwsKmsKeyOptions> = {}): Promise<Readonly<Record<string, string>>> {
  const findings = await diagnoseAwsKmsKey({ ...emulator.connection, keyArn: KEY_ARN, ...options });
  return Object.fromEntries(findings.map(({ check, status }) => [check, status]));
}

test("a sound key has no failure, and every check is there", async () => {
  const credentials = emulator.issueCredentials({ allow: [...LEAST, "kms:GetKeyRotationStatus", "kms:GetKeyPolicy"] });
  const found = await statuses({ credentials });
  expect(found).toEqual({ ...Object.fromEntries(EVERY.map((check) => [check, "ok"])), rotation: "warning" });
  expect(Object.keys(found)).toEqual(EVERY);
});

test("a right beyond need is a warning, found by a dry run", async () => {
  const credentials = emulator.issueCredentials({ allow: [...LEAST, "kms:CreateGrant"] });
  emulator.takeRequests();
  expect(await statuses({ credentials })).toMatchObject({ "excess-rights": "warning", administrators: "skipped", unwrap: "ok" });
  const [grant] = emulator.takeRequests().filter(({ operation }) => operation === "CreateGrant");
  expect(grant).toMatchObject({ status: 412 });
});

test("C11 a key whose policy names no administrator is a warning, where the policy may be read", async () => {
  const orphan = emulator.createKey({ policy: { "*": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:GetKeyPolicy"] } });
  expect(await statuses({ keyArn: orphan })).toMatchObject({ administrators: "warning", unwrap: "ok" });
});

test("the end of imported material is told with its time, and material that is imported cannot be brought back", async () => {
  for (const [days, status] of [
    [100, "warning"],
    [-1, "failed"],
  ] as const) {
    const validToMs = Date.now() + days * 86_400_000;
    const keyArn = emulator.createKey({ validToMs });
    const findings = await diagnoseAwsKmsKey({ ...emulator.connection, keyArn });
    expect(findings.find(({ check }) => check === "expiry")).toMatchObject({ status, notAfterMs: validToMs });
    expect(findings.find(({ check }) => check === "recovery")).toMatchObject({ status: "warning" });
  }
});

test("a sound RSA key", async () => {
  const findings = await diagnoseAwsKmsKey({ ...emulator.connection, keyArn: RSA_ARN, keyType: "rsa" });
  expect(findings.map(({ check, status }) => `${check} ${status}`)).toEqual(
    EVERY.map((check) => `${check} ${{ rotation: "skipped", "excess-rights": "warning" }[check] ?? "ok"}`),
  );
});

const failing = (fault: Parameters<AwsKmsEmulator["failNext"]>[0], on: RegExp) => (): object => {
  emulator.failNext(fault, on);
  return {};
};
const described = (metadata: object) =>
  failing({ status: 200, text: JSON.stringify({ KeyMetadata: { Arn: KEY_ARN, KeyState: "Enabled", ...metadata } }) }, /DescribeKey/);
const SOUND = { KeySpec: "SYMMETRIC_DEFAULT", KeyUsage: "ENCRYPT_DECRYPT", Origin: "AWS_KMS" };

test.each<[string, () => Partial<DiagnoseAwsKmsKeyOptions>, Readonly<Record<string, string>>]>([
  ["nothing listens", () => ({ endpoint: "https://127.0.0.1:65535" }), { credentials: "ok", key: "failed", wrap: "failed" }],
  [
    "a credential function that fails",
    () => ({ credentials: () => Promise.reject(new Error("none")) }),
    { credentials: "failed", key: "skipped", wrap: "skipped", latency: "skipped" },
  ],
  [
    "a disabled key",
    () => {
      emulator.setState(KEY_ARN, "Disabled");
      return {};
    },
    { state: "failed", wrap: "failed", unwrap: "skipped" },
  ],
  [
    "a deletion",
    () => {
      emulator.setState(KEY_ARN, "PendingDeletion");
      return {};
    },
    { state: "failed", wrap: "failed" },
  ],
  ["another type of key", () => ({ keyArn: RSA_ARN }), { "key-type": "failed", wrap: "failed" }],
  ["a signing key", described({ ...SOUND, KeyUsage: "SIGN_VERIFY" }), { "key-type": "failed" }],
  ["imported material that expires", described({ ...SOUND, Origin: "EXTERNAL", ValidTo: 2e9 }), { expiry: "warning", rotation: "skipped" }],
  [
    "a key that is rotated",
    failing({ status: 200, text: '{"KeyRotationEnabled":true}' }, /GetKeyRotationStatus/),
    { rotation: "ok", wrap: "ok" },
  ],
  [
    "the least rights",
    () => ({ credentials: emulator.issueCredentials({ allow: LEAST }) }),
    { state: "ok", rotation: "skipped", unwrap: "ok", context: "ok" },
  ],
  [
    "no right to describe",
    () => ({ credentials: emulator.issueCredentials({ allow: ["kms:Encrypt", "kms:Decrypt"] }) }),
    { key: "failed", state: "skipped", wrap: "ok" },
  ],
  [
    "no right to decrypt",
    () => ({ credentials: emulator.issueCredentials({ allow: ["kms:Encrypt"] }) }),
    { wrap: "ok", unwrap: "failed", context: "skipped" },
  ],
  [
    "a reader, which may not encrypt",
    () => ({ credentials: emulator.issueCredentials({ allow: ["kms:Decrypt", "kms:DescribeKey"] }) }),
    { wrap: "failed", unwrap: "ok", context: "skipped" },
  ],
  [
    "a reader of an RSA key",
    () => ({ keyArn: RSA_ARN, keyType: "rsa", credentials: emulator.issueCredentials({ allow: ["kms:Decrypt"] }) }),
    { wrap: "failed", unwrap: "ok", context: "skipped" },
  ],
  [
    "no right to either",
    () => ({ credentials: emulator.issueCredentials({ allow: ["kms:DescribeKey"] }) }),
    { wrap: "failed", unwrap: "failed", context: "skipped" },
  ],
  [
    "a policy of one tenant",
    () => ({ credentials: emulator.issueCredentials({ onlyContext: { tenant: "acme" } }), keyContext: { tenant: "acme" } }),
    { wrap: "ok", context: "ok" },
  ],
  [
    "a policy of another tenant",
    () => ({ credentials: emulator.issueCredentials({ onlyContext: { tenant: "acme" } }) }),
    { wrap: "failed" },
  ],
])("%s", async (_what, arrange, expected) => {
  expect(await statuses(arrange())).toMatchObject(expected);
});

test("credentials that end say when, and a slow unwrap is told", async () => {
  const clock = fakeClock();
  await using slow = await AwsKmsEmulator.start({ clock });
  const keyArn = slow.createKey();
  const credentials = slow.issueCredentials({ lifeSeconds: 3600 });
  slow.failNext({ meanwhile: () => clock.advanceNow(1500) }, /Decrypt/, 3);
  const findings = await diagnoseAwsKmsKey({ ...slow.connection, clock, credentials, keyArn });
  expect(findings.find(({ check }) => check === "credentials")?.message).toContain("3600 s");
  expect(findings.find(({ check }) => check === "latency")).toMatchObject({ status: "warning" });
});

test("bad options are thrown", async () => {
  expect(await refusalCode(() => statuses({ keyArn: "alias/orders" }))).toBe("invalid-argument");
  expect(await refusalCode(() => statuses(untyped({ key: "x" })))).toBe("invalid-argument");
});
