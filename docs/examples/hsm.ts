// A key on a PKCS#11 token. The token is one of SoftHSM in a folder of this program's own; a real one differs in `module` and PIN.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, Keyring } from "envelock";
import { pkcs11Key, pkcs11Token } from "envelock/providers/pkcs11";

const folder = mkdtempSync(join(tmpdir(), "envelock-hsm-"));
try {
  mkdirSync(join(folder, "tokens"));
  writeFileSync(join(folder, "softhsm2.conf"), `directories.tokendir = ${join(folder, "tokens")}\n`);
  Object.assign(process.env, { SOFTHSM2_CONF: join(folder, "softhsm2.conf") }); // before the library is loaded, which reads it
  execFileSync("softhsm2-util", ["--init-token", "--free", "--label", "orders-token", "--pin", "1234", "--so-pin", "5678"]);

  const location = { module: "/usr/lib/softhsm/libsofthsm2.so", token: { label: "orders-token" }, pin: () => "1234" };

  // Makes an AES key that never leaves the token. `envelock hsm keygen` does the same at a shell.
  const token = pkcs11Token(location);
  await token.generateKey({ label: "orders", type: "aes-256" });
  await token.close();

  const key = pkcs11Key({ ...location, key: { label: "orders" } });
  const keyring = new Keyring({ wrapWith: [key], context: { tenant: "acme" } });
  const context = { object: "invoices/7.pdf" };
  const envelope = await keyring.encrypt(new TextEncoder().encode("net 30 days"), { context });
  const found = inspect(envelope);
  const recipient = found.kind === "envelope" ? found.recipients[0] : undefined;
  console.log("wrapped with", recipient?.algorithm, "by", recipient?.keyId.split(";").slice(0, 2).join(";"));

  assert.equal(new TextDecoder().decode(await keyring.decrypt(envelope, { context })), "net 30 days");
  console.log("decrypted by the token");
  await key.close();
} finally {
  rmSync(folder, { recursive: true });
}
