import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { vaultTransitKey } from "../../../providers/vault/index.ts";
import type { Recipient, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { VaultEmulator } from "../../../src/testing/vault-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { fileOfPackages } from "../../support/debian-packages.ts";
import { installed } from "../../support/npm-tools.ts";

// Clients that others wrote for the real servers, in two languages: what they do here they do there.

const folder = mkdtempSync(join(tmpdir(), "envelock-vault-"));
const emulator = await VaultEmulator.start({ mounts: ["transit", "team/transit"] });
afterAll(async () => {
  await emulator.close();
  rmSync(folder, { recursive: true });
});
const CA = join(folder, "ca.pem");
writeFileSync(CA, emulator.ca);
const DEK = noise(32, "foreign");
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array(0) };
emulator.createKey("orders", "rsa-2048");

test("hvac: keys, rotation, encryption, statuses, namespaces and logins", async () => {
  fileOfPackages(["/usr/lib/python3/dist-packages/hvac/__init__.py"], ["python3-hvac"]);
  const login = emulator.addAppRole();
  const script = join(folder, "client.py");
  writeFileSync(script, PYTHON);
  const ours = await key().wrap(DEK, OPTIONS);
  const { stdout } = await promisify(execFile)("/usr/bin/python3", [script], {
    env: {
      VAULT_ADDR: emulator.url,
      VAULT_TOKEN: emulator.token,
      VAULT_CA: CA,
      ROLE_ID: login.roleId,
      SECRET_ID: login.secretId,
      OURS: Buffer.from(ours.wrapped).toString(),
    },
  });
  const answer: { readonly theirs: string } = JSON.parse(stdout);
  expect(answer).toMatchObject({
    latest: 2,
    decrypted: "bmV0IDMwIGRheXM=",
    rewrapped: "vault:v2",
    tampered: "InvalidRequest",
    missing: "InvalidRequest",
    forbidden: "Forbidden",
    sealed: false,
    ours: Buffer.from(DEK).toString("base64"),
    role: true,
    space: "vault:v1",
  });
  expect(await key().unwrap(recipientOf(answer.theirs), OPTIONS), "what hvac wrapped opens here").toEqual(DEK);
});

test("node-vault: encrypts, decrypts, and gets the server's errors", async () => {
  const modules = installed("foreign", ["node-vault@0.12.0"]);
  const nodeVault = createRequire(join(modules, "..", "package.json"))("node-vault");
  const client = nodeVault({
    endpoint: emulator.url,
    token: emulator.token,
    requestOptions: { ca: emulator.ca, httpsAgent: undefined, strictSSL: true },
  });
  const written = await client.write("transit/encrypt/orders", { plaintext: Buffer.from(DEK).toString("base64") });
  expect(await key().unwrap(recipientOf(written.data.ciphertext), OPTIONS)).toEqual(DEK);
  const ours = await key().wrap(DEK, OPTIONS);
  const read = await client.write("transit/decrypt/orders", { ciphertext: Buffer.from(ours.wrapped).toString() });
  expect(read.data.plaintext).toBe(Buffer.from(DEK).toString("base64"));
  await expect(client.write("transit/encrypt/missing/x", {})).rejects.toThrow();
});

function key(): ReturnType<typeof vaultTransitKey> {
  return vaultTransitKey({ ...emulator.connection, key: "orders", keyType: "rsa" });
}

function recipientOf(ciphertext: string): Recipient {
  const version = /^vault:v(\d+):/.exec(ciphertext)?.[1] ?? "";
  return { provider: "vault-transit", keyId: `${emulator.url}/transit/orders#${version}`, alg: 10, wrapped: Buffer.from(ciphertext) };
}

const PYTHON = `
import base64, json, os
import hvac

def client(**more):
    return hvac.Client(url=os.environ["VAULT_ADDR"], verify=os.environ["VAULT_CA"], **{"token": os.environ["VAULT_TOKEN"], **more})

def refusal(work):
    try:
        work()
    except hvac.exceptions.VaultError as error:
        return type(error).__name__
    return "none"

transit = client().secrets.transit
transit.create_key(name="python")
text = base64.b64encode(b"net 30 days").decode()
first = transit.encrypt_data(name="python", plaintext=text)["data"]["ciphertext"]
transit.rotate_key(name="python")
role = client(token=None)
role.auth.approle.login(role_id=os.environ["ROLE_ID"], secret_id=os.environ["SECRET_ID"])
space = client(namespace="team")
space.secrets.transit.create_key(name="python")
dek = transit.decrypt_data(name="orders", ciphertext=os.environ["OURS"])["data"]["plaintext"]
print(json.dumps({
    "latest": transit.read_key(name="python")["data"]["latest_version"],
    "decrypted": transit.decrypt_data(name="python", ciphertext=first)["data"]["plaintext"],
    "rewrapped": transit.rewrap_data(name="python", ciphertext=first)["data"]["ciphertext"][:8],
    "tampered": refusal(lambda: transit.decrypt_data(name="python", ciphertext=first[:-8] + "AAAAAAA=")),
    "missing": refusal(lambda: transit.encrypt_data(name="python", plaintext="not base64!")),
    "forbidden": refusal(lambda: client(token="none").secrets.transit.read_key(name="python")),
    "sealed": client().sys.is_sealed(),
    "ours": dek,
    "theirs": transit.encrypt_data(name="orders", plaintext=dek)["data"]["ciphertext"],
    "role": role.is_authenticated(),
    "space": space.secrets.transit.encrypt_data(name="python", plaintext=text)["data"]["ciphertext"][:8],
}))
`;
