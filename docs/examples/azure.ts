// A key of Azure Key Vault: encryption, a rotation, an outage, a revocation. Runs against the emulator, which needs no account.
import assert from "node:assert/strict";
import { EnvelockError, Keyring } from "envelock";
import { azureKey } from "envelock/providers/azure";
import { AzureEmulator } from "envelock/testing/azure-emulator";

const emulator = await AzureEmulator.start();
try {
  const version = await emulator.createKey("orders", { type: "RSA-HSM", bits: 2048 });

  // With the live service: `azureKey({ keyUrl: "https://acme.vault.azure.net/keys/orders", credential: new ManagedIdentityCredential() })`
  const key = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders"), minVersionAgeMs: 0 });
  const keyring = new Keyring({ wrapWith: [key], context: { tenant: "acme" }, retry: { delaysMs: [10, 20] } });

  const context = { object: "invoices/7.pdf" };
  const envelope = await keyring.encrypt(new TextEncoder().encode("net 30 days"), { context });
  console.log("encrypted under", keyNameOf(emulator.keyUrl("orders", version)));

  // A new version wraps from now on; the old one goes on unwrapping.
  const next = await emulator.rotate("orders");
  key.noteNewVersion(emulator.keyUrl("orders", next));
  assert.equal(await keyring.needsRewrap(envelope), true);
  const moved = await keyring.rewrap(envelope);
  assert.equal(await keyring.needsRewrap(moved), false);
  console.log("rewrapped for the new version");

  // An outage of a moment is retried.
  emulator.failNext("unavailable", /unwrapkey$/);
  assert.equal(new TextDecoder().decode(await keyring.decrypt(moved, { context })), "net 30 days");
  console.log("decrypted, after one refusal of the service");

  // The tenant takes the key away.
  emulator.change("orders", next, { enabled: false });
  const error: unknown = await keyring.decrypt(moved, { context }).catch((caught: unknown) => caught);
  assert.ok(error instanceof EnvelockError);
  assert.equal(error.code, "key-disabled");
  console.log("revoked:", error.code, "-", error.hint);
  await key.close();
} finally {
  await emulator.close();
}

function keyNameOf(keyUrl: string): string {
  return new URL(keyUrl).pathname.split("/").slice(0, 3).join("/");
}
