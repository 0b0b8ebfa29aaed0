import { describe } from "vitest";
import { awsLiveSuite } from "./aws-kms/live-suite.ts";
import { gcpLiveSuite } from "./gcp-kms/live-suite.ts";
import { keyServices } from "./key-services.ts";
import { vaultLiveSuite } from "./vault/live-suite.ts";

// The suites for the real services, with the emulators in their place: what they ask is proven before anybody pays for it.

const { aws, gcp, vault, keyArn, orders } = await keyServices();
vault.createKey("orders-2");

describe("AWS KMS", () => awsLiveSuite({ ...aws.connection, keyArn, otherArn: aws.createKey() }));
describe("Google Cloud KMS", () => gcpLiveSuite({ ...gcp.connection, key: orders, otherKey: gcp.createKey("orders-2") }));
describe("Vault", () => vaultLiveSuite({ ...vault.connection, key: "orders", otherKey: "orders-2" }));
