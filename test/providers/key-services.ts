import { afterAll } from "vitest";
import type { Clock } from "../../src/core/base/clock.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";

/** Emulators of the key services that the library calls by its own HTTP, with a key in each. That of Vault is called `orders`. */
export interface KeyServices {
  readonly aws: AwsKmsEmulator;
  readonly gcp: GcpKmsEmulator;
  readonly vault: VaultEmulator;
  readonly keyArn: string;
  readonly orders: string;
}

/** Starts them for a test file, and closes them at its end. */
export async function keyServices(options: { readonly clock?: Clock } = {}): Promise<KeyServices> {
  const aws = await AwsKmsEmulator.start(options);
  const gcp = await GcpKmsEmulator.start(options);
  const vault = await VaultEmulator.start(options);
  afterAll(async () => {
    await Promise.all([aws.close(), gcp.close(), vault.close()]);
  });
  vault.createKey("orders");
  return { aws, gcp, vault, keyArn: aws.createKey(), orders: gcp.createKey("orders") };
}
