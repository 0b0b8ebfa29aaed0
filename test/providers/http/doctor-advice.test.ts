import { createServer } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { diagnoseAwsKmsKey } from "../../../providers/aws-kms/index.ts";
import { diagnoseAzureKey } from "../../../providers/azure/index.ts";
import { diagnoseGcpKey } from "../../../providers/gcp-kms/index.ts";
import { adviceAfter, Findings } from "../../../providers/http/findings.ts";
import { diagnoseVaultKey } from "../../../providers/vault/index.ts";
import { EnvelockError, type ErrorCode } from "../../../src/core/base/errors.ts";
import type { Finding } from "../../../src/core/contracts/finding.ts";

// A check that failed says what to do next, whatever the doctor.

let closedPort = 0;

beforeAll(async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  closedPort = typeof address === "object" && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
});

const DOCTORS: readonly (readonly [name: string, diagnose: (origin: string) => Promise<readonly Finding[]>])[] = [
  ["Vault", (address) => diagnoseVaultKey({ address: address.replace("https", "http"), token: "t", key: "orders" })],
  [
    "AWS KMS",
    (endpoint) =>
      diagnoseAwsKmsKey({
        keyArn: "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        credentials: { accessKeyId: "a", secretAccessKey: "s" },
        endpoint: endpoint.replace("https", "http"),
      }),
  ],
  [
    "Google Cloud KMS",
    (endpoint) =>
      diagnoseGcpKey({
        key: "projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders",
        token: async () => ({ token: "t" }),
        endpoint: endpoint.replace("https", "http"),
      }),
  ],
  [
    "Azure",
    (origin) =>
      diagnoseAzureKey({
        keyUrl: `${origin}/keys/orders`,
        allowedHosts: [new URL(origin).host],
        tokenResource: "https://vault.azure.net",
        credential: { getToken: async () => ({ token: "t", expiresOnTimestamp: Date.now() + 3_600_000 }) },
      }),
  ],
];

describe.each(DOCTORS)("the doctor of %s", (_name, diagnose) => {
  test("on a port where nothing listens says what to look at", async () => {
    const failed = (await diagnose(`https://127.0.0.1:${closedPort}`)).filter(({ status }) => status === "failed");
    expect(failed.length).toBeGreaterThan(0);
    for (const { message, advice } of failed) {
      expect(message).toContain("ECONNREFUSED");
      expect(advice).toMatch(/firewalls/);
    }
  });
});

const CODES: readonly ErrorCode[] = [
  "invalid-argument",
  "key-not-found",
  "key-disabled",
  "access-denied",
  "rate-limited",
  "timeout",
  "closed",
];

test.each(CODES)("a check that fails with %s and no hint has advice", async (code) => {
  const findings = new Findings<"reach">();
  await findings.try("reach", async () => {
    throw new EnvelockError(code, "it failed");
  });
  expect(findings.all[0]?.advice).toMatch(/\w+ \w+/);
  expect(adviceAfter(new EnvelockError(code, "it failed", { hint: "its own" }))).toBe("its own");
});
