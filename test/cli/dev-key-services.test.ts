import { expect, test } from "vitest";
import { utf8 } from "../../src/core/base/bytes.ts";
import { refused, run, scratch, start } from "./runner.ts";

const { at, write } = scratch();
const plain = write("plain", utf8("net 30 days"));
const { PATH: path = "" } = process.env;

interface Served {
  readonly url: string;
  readonly keys: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

test.each([
  {
    service: "aws-kms-emulator",
    args: ["--key", "orders", "--fault", "DisabledException@Encrypt"],
    keyOf: ({ keys }: Served) => `aws-kms:${keys[0]}`,
    said: "DisabledException",
  },
  {
    service: "gcp-kms-emulator",
    args: ["--key", "orders", "--fault", "disabled@encrypt", "--token-out", at("dev.token")],
    keyOf: ({ keys }: Served) => `gcp-kms:${keys[0]}`,
    said: "key-disabled",
  },
  {
    service: "vault-emulator",
    args: ["--key", "orders:chacha20-poly1305", "--fault", "key-not-found@encrypt"],
    keyOf: ({ url, keys }: Served) => `vault:${url}/transit/${keys[0]}`,
    said: "encryption key not found",
  },
])("dev $service serves the command, and meets the faults that were ordered", async ({ service, args, keyOf, said }) => {
  const running = start(["dev", service, ...args, "--ca-out", at(`${service}.pem`), "--json"]);
  const served: Served = JSON.parse(await running.firstLine);
  const env = { PATH: path, HOME: at("home"), ...served.environment };
  const encrypt = ["encrypt", plain, "--key", keyOf(served), "--out", at(`${service}.envelope`)];
  expect((await run(encrypt, undefined, { env })).stderr).toContain(said);
  expect((await run(encrypt, undefined, { env })).exitCode).toBe(0);
  running.kill("SIGTERM");
  await running.done;
});

test.each([
  ["aws-kms-emulator", "--key", "orders:AES_256"],
  ["aws-kms-emulator", "--key", "a b"],
  ["aws-kms-emulator", "--fault", "nothing"],
  ["gcp-kms-emulator", "--key", "orders:AES_256"],
  ["gcp-kms-emulator", "--key", "a b"],
  ["gcp-kms-emulator", "--fault", "nothing"],
  ["vault-emulator", "--key", "orders:aes-1"],
  ["vault-emulator", "--fault", "nothing"],
])("dev %s refuses %s %s", async (service, option, value) => {
  await refused(2, "invalid-argument", ["dev", service, option, value]);
});
