import { afterAll, describe, expect, test } from "vitest";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { refused, run, scratch } from "./runner.ts";

const { at, names, read, write } = scratch();
const emulator = await AwsKmsEmulator.start();
afterAll(() => emulator.close());
const KEY_ARN = emulator.createKey();
const KEY = `aws-kms:${KEY_ARN}`;
const plain = write("plain", new TextEncoder().encode("net 30 days"));
const ROLE = "arn:aws:iam::111122223333:role/orders";
emulator.addRole(ROLE, { webIdentityToken: "web.identity.token" });
const { PATH: path = "" } = process.env;
const PLACE = { PATH: path, HOME: at("home"), AWS_ENDPOINT_URL: emulator.url, AWS_CA_BUNDLE: write("ca.pem", emulator.ca) };
const ENV = {
  ...PLACE,
  AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
};

test.each([
  "aws-kms:",
  "aws-kms:orders",
  "aws-kms:alias/orders",

  KEY_ARN,
])("--key %s names no key: nothing is asked for and nothing written", async (key) => {
  const before = names();
  await refused(2, "invalid-argument", ["encrypt", plain, "--key", key, "--out", at("never")]);
  expect(names()).toEqual(before);
});

test("every verb goes with a key in AWS KMS", async () => {
  const envelope = at("envelope");
  await succeeds(["encrypt", plain, "--key", KEY, "--out", envelope]);
  await succeeds(["rewrap", envelope, "--key", KEY]);
  await succeeds(["decrypt", envelope, "--key", KEY, "--out", at("again")]);
  expect(read("again")).toEqual(read("plain"));
  expect((await run(["inspect", envelope])).text).toContain(KEY_ARN);
});

test("doctor looks at it, and its exit code says what came of it", async () => {
  expect((await succeeds(["doctor", "--aws", KEY_ARN])).text).toMatch(/^ok +context +another context does not open it$/m);
  const other = KEY_ARN.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  const absent = await run(["doctor", "--aws", other, "--json"], undefined, { env: ENV });
  expect(absent.exitCode).toBe(1);
  expect(JSON.parse(absent.text)).toMatchObject({ keyUrl: other, isHealthy: false });
});

describe("credentials of the environment", () => {
  const uri = emulator.serveMetadata(ROLE, "shown");
  test.each<[string, Readonly<Record<string, string>>]>([
    ["a web identity", { AWS_ROLE_ARN: ROLE, AWS_WEB_IDENTITY_TOKEN_FILE: write("token", "web.identity.token\n") }],
    ["a container", { AWS_CONTAINER_CREDENTIALS_FULL_URI: uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: "shown" }],
    [
      "a container with a file",
      { AWS_CONTAINER_CREDENTIALS_FULL_URI: uri, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: write("shown", "shown\n") },
    ],
    ["an instance", { AWS_EC2_METADATA_SERVICE_ENDPOINT: emulator.url }],
  ])("%s", async (_what, more) => {
    const { exitCode, stderr, text } = await run(["doctor", "--aws", KEY_ARN], undefined, { env: { ...PLACE, ...more } });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect(text).toMatch(/^ok +wrap /m);
  });

  test("none: it says how to set them", async () => {
    const env = { ...PLACE, AWS_EC2_METADATA_DISABLED: "true" };
    const { stderr } = await run(["encrypt", plain, "--key", KEY, "--out", at("none")], undefined, { env });
    expect(stderr).toContain("export-credentials");
  });
});

async function succeeds(args: readonly string[]): Promise<Awaited<ReturnType<typeof run>>> {
  const result = await run(args, undefined, { env: ENV });
  expect(result.stderr).toBe("");
  expect(result.exitCode).toBe(0);
  return result;
}
