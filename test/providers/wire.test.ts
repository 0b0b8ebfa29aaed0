import { afterAll, describe, expect, test } from "vitest";
import { type ConformanceCase, conformance } from "../../providers/conformance/index.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";
import { awsService } from "./wire/aws.ts";
import { gcpService } from "./wire/gcp.ts";
import { vaultService } from "./wire/vault.ts";
import type { WireMutant } from "./wire/wire.ts";

// What a key service must not answer, and what stands around it: for each case a provider that it catches, of each service.

const aws = await AwsKmsEmulator.start();
const gcp = await GcpKmsEmulator.start();
const vault = await VaultEmulator.start();
afterAll(async () => {
  await Promise.all([aws.close(), gcp.close(), vault.close()]);
});

describe.each([
  ["AWS KMS", awsService(aws)],
  ["Google Cloud KMS", gcpService(gcp)],
  ["Vault", vaultService(vault)],
])("%s", (_name, service) => {
  const {
    wrongAnswers: _,
    ignoreContext: __,
    endCredentials: ___,
    otherSpellings: ____,
    openByMovableName: _____,
    ...bare
  } = service.harness();
  const others = new Set(conformance(bare).map(({ name }) => name));
  const casesOf = (mutant?: WireMutant): readonly ConformanceCase[] =>
    conformance(service.harness(mutant)).filter(({ name }) => !others.has(name));

  for (const { name, run } of casesOf()) test(`a sound provider passes: ${name}`, run);

  for (const mutant of service.mutants) {
    test(`a provider that ${mutant.fault} is noticed where it must be and nowhere else`, async () => {
      const rejected: string[] = [];
      for (const { name, run } of casesOf(mutant)) await run().catch(() => rejected.push(name));
      expect(rejected.sort()).toEqual([...mutant.rejectedBy].sort());
    });
  }

  test("each case rejects at least one mutant", () => {
    const rejecting = new Set(service.mutants.flatMap(({ rejectedBy }) => rejectedBy));
    expect(
      casesOf()
        .map(({ name }) => name)
        .filter((name) => !rejecting.has(name)),
    ).toEqual([]);
  });
});
