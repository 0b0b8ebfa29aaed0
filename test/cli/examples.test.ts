import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";
import { softHsmTokens } from "../providers/pkcs11/tokens.ts";
import { startAzurite } from "../support/azurite.ts";
import { CLI, ok, ROOT, scratch } from "./runner.ts";

// Every example of docs/cli.md, in its order, in one folder. `envelock` is the built command, whose services are emulators and whose
// PostgreSQL is a file; `az` only fetches and takes files.

const { at, folder, write } = scratch();
const softHsm = softHsmTokens("hsm");
const [token] = softHsm.tokens;
const emulator = await AzureEmulator.start({ isPurgeProtected: true });
const vault = await VaultEmulator.start();
const azurite = await startAzurite();
const container = await azurite.createContainer();
vault.createKey("orders");
afterAll(async () => {
  await emulator.close();
  await vault.close();
  await azurite.close();
  softHsm.remove();
});

const page = readFileSync(join(ROOT, "docs/cli.md"), "utf8");
const examples = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, script = ""]) => [script.split("\n")[0] ?? "", script] as const);

beforeAll(async () => {
  await emulator.createKey("orders", { type: "RSA-HSM" });
  const exchange = generateKeyPairSync("rsa", { modulusLength: 2048 });
  write("exchange-of-azure.pem", exchange.publicKey.export({ format: "pem", type: "spki" }));
  write("emulator.pem", emulator.ca);
  write("vault.pem", vault.ca);
  for (const name of ["bin", "photos", "invoices", "sealed", "restored", "archive", "blobs"]) mkdirSync(at(name));
  for (const name of ["report.pdf", "notes.txt", "photos/one.jpg", "invoices/7.pdf"]) write(name, `content of ${name}`);
  await ok(["keygen", at("old.json")]);
  await ok(["keygen", at("new.json")]);
  await ok(["keygen", at("backup.json"), "--type", "x25519"]);
  await ok(["keygen", at("backup.json"), "--public", "--out", at("backup.pub.json")]);
  chmodSync(write("bin/envelock", ENVELOCK), 0o755);
  chmodSync(write("bin/az", AZ), 0o755);
});

test("the page has examples", () => {
  expect(examples.length).toBeGreaterThan(10);
});

test.each(examples)("%s", async (first, script) => {
  if (first.includes("--check archive")) await prepareArchive();
  if (first.startsWith("envelock keys")) {
    await ok(["keys", "rotate", "--store", `file:${at("store.json")}`, "--key", at("keys.json"), "--scope", "tenant=acme", "--create"]);
  }
  const running = promisify(execFile)("bash", ["-euo", "pipefail", "-c", script], { cwd: folder, env: await environment() });
  running.child.stdin?.end("tenant=acme\n"); // what shred asks for
  await running; // rejects with what was written to standard error
});

/** Envelopes that both rewraps of the page find stale: one by --key keys.json, one by --key new.json. */
async function prepareArchive(): Promise<void> {
  await ok(["encrypt", at("report.pdf"), "--key", at("keys.json"), "--out", at("archive/one.envelock")]);
  await ok(["keygen", at("keys.json"), "--add", "--set-primary"]);
  await promisify(execFile)("cp", [at("keys.json"), at("old.json")]);
}

async function environment(): Promise<NodeJS.ProcessEnv> {
  const { PATH, SOFTHSM2_CONF } = process.env;
  return {
    PATH: `${at("bin")}:${PATH}`,
    HOME: folder,
    SOFTHSM2_CONF,
    ENVELOCK_PKCS11_MODULE: token.module, // a shell keeps what the block before exported
    ENVELOCK_PKCS11_PIN: token.pin,
    KEK_ID: `${emulator.url}/keys/exchange/${"0a".repeat(16)}`,
    AZURE_TOKEN_CREDENTIALS: "ManagedIdentityCredential",
    AZURE_POD_IDENTITY_AUTHORITY_HOST: await emulator.serveManagedIdentity(),
    NODE_EXTRA_CA_CERTS: at("emulator.pem"),
    VAULT_TOKEN: vault.token,
    VAULT_CACERT: at("vault.pem"),
    EXAMPLE_TRANSIT: vault.url,
    AZURE_STORAGE_SAS_TOKEN: azurite.sas(container),
    AZURE_STORAGE_SERVICE_ENDPOINT: azurite.url,
    EXAMPLE_CONTAINER: container,
    EXAMPLE_NODE: process.execPath,
    EXAMPLE_CLI: CLI,
    EXAMPLE_VAULT: emulator.url,
    EXAMPLE_HOST: new URL(emulator.url).host,
    EXAMPLE_STORE: `file:${at("store.json")}`,
  };
}

const ENVELOCK = `#!/bin/bash
args=()
for arg in "$@"; do
  arg="\${arg//https:\\/\\/acme.vault.azure.net/$EXAMPLE_VAULT}"
  arg="\${arg/#az:\\/\\/acme\\/invoices/az:\\/\\/devstoreaccount1\\/$EXAMPLE_CONTAINER}"
  arg="\${arg//https:\\/\\/vault.example:8200/$EXAMPLE_TRANSIT}"
  args+=("\${arg/#postgres:*/$EXAMPLE_STORE}")
done
[[ $1 == doctor && $2 == --azure ]] && args+=(--allow-host "$EXAMPLE_HOST" --token-resource https://vault.azure.net)
exec "$EXAMPLE_NODE" "$EXAMPLE_CLI" "\${args[@]}"
`;

const AZ = `#!/bin/bash
[[ $3 == download ]] && exec cp exchange-of-azure.pem exchange.pem
exec test -s "\${@: -1}"
`;
