import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { gcpKmsKey } from "../../providers/gcp-kms/index.ts";
import { gcpKeyOptions } from "../../src/cli/gcp-connection.ts";
import { commandHint } from "../../src/cli/hints.ts";
import { utf8 } from "../../src/core/base/bytes.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { refused, run, scratch } from "./runner.ts";

const { at, names, read, write } = scratch();
const emulator = await GcpKmsEmulator.start();
afterAll(() => emulator.close());
afterEach(() => vi.unstubAllEnvs());
const NAME = emulator.createKey("orders");
const KEY = `gcp-kms:${NAME}`;
const plain = write("plain", utf8("net 30 days"));
const { PATH: path = "" } = process.env;
const PLACE = {
  PATH: path,
  HOME: at("home"),
  METADATA_SERVER_DETECTION: "none",
  CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${emulator.url}/`,
  CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: write("ca.pem", emulator.ca),
};
const ENV = { ...PLACE, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: write("token", `${emulator.token}\n`) };

test.each([
  "gcp-kms:",
  "gcp-kms:orders",
  `gcp-kms:${NAME}/cryptoKeyVersions/1`,
  `gcp-kms://cloudkms.googleapis.com/${NAME}`,
  `gcp:${NAME}`,
])("--key %s names no key: nothing is asked for and nothing written", async (key) => {
  const before = names();
  await refused(2, "invalid-argument", ["encrypt", plain, "--key", key, "--out", at("never")]);
  expect(names()).toEqual(before);
});

test("every verb goes with a key in Cloud KMS", async () => {
  const envelope = at("envelope");
  await succeeds(["encrypt", plain, "--key", KEY, "--out", envelope]);
  emulator.rotate(NAME);
  expect((await run(["rewrap", "--check", envelope, "--key", KEY], undefined, { env: ENV })).text).toMatch(/^stale/);
  await succeeds(["rewrap", envelope, "--key", KEY]);
  await succeeds(["decrypt", envelope, "--key", KEY, "--out", at("again")]);
  expect(read("again")).toEqual(read("plain"));
  expect((await run(["inspect", envelope])).text).toContain(`${NAME}/cryptoKeyVersions/2`);
});

test("doctor looks at it, and its exit code says what came of it", async () => {
  expect((await succeeds(["doctor", "--gcp", NAME])).text).toMatch(/^ok +context +another context does not open it$/m);
  const absent = await run(["doctor", "--gcp", `${NAME}-2`, "--json"], undefined, { env: ENV });
  expect(absent.exitCode).toBe(1);
  expect(JSON.parse(absent.text)).toMatchObject({ keyUrl: `${NAME}-2`, isHealthy: false });
});

describe("credentials of the environment", () => {
  const keyFile = write("account.json", emulator.addServiceAccount({ email: "shop@acme.iam.gserviceaccount.com" }));

  test.each<[string, Readonly<Record<string, string>>]>([
    ["a key of a service account", { GOOGLE_APPLICATION_CREDENTIALS: keyFile }],
    ["gcloud's own variable for it", { CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE: keyFile }],
    [
      "an impersonation",
      {
        CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: ENV.CLOUDSDK_AUTH_ACCESS_TOKEN_FILE,
        CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT: "shop@acme.iam.gserviceaccount.com",
      },
    ],
  ])("%s", async (_what, more) => {
    for (const [name, value] of Object.entries({ ...CLEARED, ...PLACE, ...more })) vi.stubEnv(name, value);
    // Google's own hosts are behind the emulator's fetch
    const key = gcpKmsKey({ ...(await gcpKeyOptions(NAME)), fetch: emulator.fetch });
    emulator.takeRequests();
    await key.wrap(new Uint8Array(32), { keyContext: {}, wrapAad: () => utf8("aad") });
    expect(emulator.takeRequests().at(-1)?.principal).toBe("shop@acme.iam.gserviceaccount.com");
    await key.close();
  });

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ["none", {}, /there are no credentials[\s\S]*gcloud auth print-access-token/],
    ["a token file that is not there", { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: at("none") }, /cannot be read[\s\S]*print-access-token/],
    [
      "credentials of a person",
      { GOOGLE_APPLICATION_CREDENTIALS: write("user.json", '{"type":"authorized_user","refresh_token":"secret"}') },
      /no key of a service account[\s\S]*print-access-token/,
    ],
    ["a key file that is not there", { GOOGLE_APPLICATION_CREDENTIALS: at("none") }, /GOOGLE_APPLICATION_CREDENTIALS names cannot be read/],
  ])("%s: it says what to do", async (_what, more, said) => {
    const env = { ...PLACE, ...more };
    const { stderr, exitCode } = await run(["encrypt", plain, "--key", KEY, "--out", at("never")], undefined, { env });
    expect(stderr).toMatch(said);
    expect(stderr).not.toContain("secret");
    expect(exitCode).not.toBe(0);
  });
});

test("where the metadata server is not reached, the next step is one outside Google Cloud", () => {
  const message = "the metadata server of google cloud: the connection failed (EHOSTUNREACH)";
  expect(commandHint({ code: "unavailable", message, hint: "check host and port" })).toContain("gcloud auth print-access-token");
});

async function succeeds(args: readonly string[]): Promise<Awaited<ReturnType<typeof run>>> {
  const result = await run(args, undefined, { env: ENV });
  expect(result.stderr).toBe("");
  expect(result.exitCode).toBe(0);
  return result;
}

/** Variables of the machine that must not count here. */
const CLEARED: Readonly<Record<string, string>> = {
  CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: "",
  CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE: "",
  GOOGLE_APPLICATION_CREDENTIALS: "",
  CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT: "",
};
