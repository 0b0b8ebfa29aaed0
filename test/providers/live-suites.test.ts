import { afterAll, describe } from "vitest";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";
import { awsLiveSuite } from "./aws-kms/live-suite.ts";
import { gcpLiveSuite } from "./gcp-kms/live-suite.ts";
import { vaultLiveSuite } from "./vault/live-suite.ts";

// The suites for the real services, with the emulators in their place: what they ask is proven before anybody pays for it.

const aws = await AwsKmsEmulator.start();
const gcp = await GcpKmsEmulator.start();
const vault = await VaultEmulator.start();
afterAll(async () => {
  await Promise.all([aws.close(), gcp.close(), vault.close()]);
});
vault.createKey("orders");
vault.createKey("orders-2");

describe("AWS KMS", () => awsLiveSuite({ ...aws.connection, keyArn: aws.createKey(), otherArn: aws.createKey() }));
describe("Google Cloud KMS", () => gcpLiveSuite({ ...gcp.connection, key: gcp.createKey("orders"), otherKey: gcp.createKey("orders-2") }));
describe("Vault", () => vaultLiveSuite({ ...vault.connection, key: "orders", otherKey: "orders-2" }));
