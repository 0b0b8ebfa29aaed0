import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import {
  type AwsCredentialSource,
  assumeRole,
  awsKmsKey,
  containerCredentials,
  instanceCredentials,
  webIdentity,
} from "../../../providers/aws-kms/index.ts";
import type { KeyProvider, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { AwsKmsEmulator } from "../../../src/testing/aws-kms-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const clock = fakeClock();
const emulator = await AwsKmsEmulator.start({ clock });
afterAll(() => emulator.close());
beforeEach(() => void emulator.takeRequests());
afterEach(() => emulator.clearFaults());
const KEY_ARN = emulator.createKey();
const ROLE = "arn:aws:iam::111122223333:role/orders";
const HOUR_SECONDS = 3600;
const DEK = noise(32, "credentials");
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array(1) };
emulator.addRole(ROLE, { externalId: "acme-7", webIdentityToken: "web.identity.token" });

const open = (credentials: AwsCredentialSource): Required<KeyProvider> =>
  awsKmsKey({ ...emulator.connection, clock, keyArn: KEY_ARN, credentials });
const paths = (): readonly string[] => emulator.takeRequests().map(({ path }) => path);
const endpoint = emulator.url;

test("a role is assumed once for all, with its external id, and again five minutes before it ends", async () => {
  const key = open(assumeRole({ roleArn: ROLE, externalId: "acme-7", source: emulator.credentials, endpoint }));
  const recipient = await key.wrap(DEK, OPTIONS);
  expect(paths()).toEqual(["POST /AssumeRole", "POST /Encrypt", "POST /Decrypt", "POST /Decrypt", "POST /Encrypt"]);
  clock.advanceNow(54 * 60_000);
  await Promise.all(Array.from({ length: 5 }, () => key.unwrap(recipient, OPTIONS)));
  expect(paths()).toEqual(Array.from({ length: 5 }, () => "POST /Decrypt"));
  clock.advanceNow(60_000);
  await Promise.all(Array.from({ length: 5 }, () => key.unwrap(recipient, OPTIONS)));
  expect(paths()).toEqual(["POST /AssumeRole", ...Array.from({ length: 5 }, () => "POST /Decrypt")]);
});

test("a role is not given without the external id, and not to a stranger", async () => {
  const refused = await refusal(() => open(assumeRole({ roleArn: ROLE, source: emulator.credentials, endpoint })).current());
  expect(refused).toMatchObject({ code: "access-denied", cause: { type: "AccessDenied", status: 403 } });
  const source = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI" };
  const stranger = await refusal(() => open(assumeRole({ roleArn: ROLE, externalId: "acme-7", source, endpoint })).current());
  expect(stranger).toMatchObject({ code: "access-denied", detail: "credential" });
  expect(`${stranger.stack}${JSON.stringify(stranger)}`).not.toContain(source.secretAccessKey);
});

test.each([7_200_000, -7_200_000])("a clock that is %i ms off is set right at the security token service too", async (ms) => {
  emulator.setClockAhead(ms);
  try {
    await open(assumeRole({ roleArn: ROLE, externalId: "acme-7", source: emulator.credentials, endpoint })).wrap(DEK, OPTIONS);
    const requests = emulator.takeRequests();
    expect(requests.filter(({ path }) => path === "POST /AssumeRole").map(({ status }) => status)).toEqual([expect.any(Number), 200]);
    expect(requests.at(-1)).toMatchObject({ path: "POST /Encrypt", status: 200 });
  } finally {
    emulator.setClockAhead(0);
  }
});

test("a role of a role: each link is a login", async () => {
  const first = "arn:aws:iam::111122223333:role/first";
  emulator.addRole(first, { webIdentityToken: "web.identity.token" });
  const source = webIdentity({ roleArn: first, token: async () => "web.identity.token\n", endpoint });
  expect(await open(assumeRole({ roleArn: ROLE, externalId: "acme-7", source, endpoint })).current()).toBe(KEY_ARN);
  expect(paths()).toEqual(["POST /AssumeRoleWithWebIdentity", "POST /AssumeRole", "POST /DescribeKey"]);
});

test("a web identity's token is asked for at each login", async () => {
  let asked = 0;
  const token = async (): Promise<string> => {
    asked++;
    return "web.identity.token";
  };
  const key = open(webIdentity({ roleArn: ROLE, token, endpoint }));
  await key.current();
  clock.advanceNow(HOUR_SECONDS * 1000);
  await key.current();
  expect(asked).toBe(2);
  const refused = open(webIdentity({ roleArn: ROLE, token: async () => "other", endpoint }));
  expect(await refusal(() => refused.current())).toMatchObject({ code: "access-denied", detail: "login" });
  const empty = open(webIdentity({ roleArn: ROLE, token: async () => "", endpoint }));
  expect(await refusal(() => empty.current())).toMatchObject({ code: "access-denied", detail: "credential" });
});

test("an instance's role comes by a session of its metadata service", async () => {
  const key = open(instanceCredentials({ endpoint }));
  expect(await refusal(() => key.current())).toMatchObject({ code: "access-denied", detail: "login" });
  emulator.serveMetadata(ROLE);
  emulator.takeRequests();
  expect(await key.current()).toBe(KEY_ARN);
  const folder = "/latest/meta-data/iam/security-credentials/";
  expect(paths()).toEqual(["PUT /latest/api/token", `GET ${folder}`, `GET ${folder}orders`, "POST /DescribeKey"]);
});

test("a container's role, with what it must show", async () => {
  const uri = emulator.serveMetadata(ROLE, "shown");
  expect(await open(containerCredentials({ uri, authorization: async () => "shown\n" })).current()).toBe(KEY_ARN);
  expect(await refusalCode(() => open(containerCredentials({ uri })).current())).toBe("access-denied");
});

test.each([
  ["an instance", () => instanceCredentials({ endpoint })],
  ["a container", () => containerCredentials({ uri: emulator.serveMetadata(ROLE) })],
  ["a role", () => assumeRole({ roleArn: ROLE, externalId: "acme-7", source: emulator.credentials, endpoint })],
])("what is no credential of %s is told as a broken answer", async (_what, source) => {
  const credentials = source();
  emulator.failNext({ status: 200, text: "<html> </html>" }, /^/, 3);
  expect(await refusal(() => open(credentials).current())).toMatchObject({ code: "provider-failure", detail: "broken-answer" });
});

test.each([
  ["an instance", () => instanceCredentials({ endpoint }), /security-credentials\/./],
  ["a container", () => containerCredentials({ uri: emulator.serveMetadata(ROLE) }), /^/],
])("a refusal of %s that comes with status 200 is one", async (_what, source, on) => {
  const credentials = source();
  emulator.serveMetadata(ROLE);
  const text = JSON.stringify({ Code: "AssumeRoleUnauthorizedAccess", Message: "EC2 cannot assume the role QUOTED" });
  emulator.failNext({ status: 200, text }, on);
  const error = await refusal(() => open(credentials).current());
  expect(error).toMatchObject({ code: "access-denied", detail: "login", hint: expect.stringContaining("trust policy") });
  expect(error.message).toContain("AssumeRoleUnauthorizedAccess");
  expect(`${error.stack}${JSON.stringify(error)}`).not.toContain("QUOTED");
});

test.each([
  '{"Error":{"Code":"AccessDenied","Message":"x"}}',
  "<ErrorResponse><Error><Code>AccessDenied</Code><Message>x</Message></Error></ErrorResponse>",
])("an answer of the token service with status 200 and an error in it gives no credentials: %s", async (text) => {
  emulator.failNext({ status: 200, text }, /AssumeRole/);
  const key = open(assumeRole({ roleArn: ROLE, externalId: "acme-7", source: emulator.credentials, endpoint }));
  expect(await refusal(() => key.current())).toMatchObject({ code: "provider-failure", detail: "broken-answer" });
  expect(await key.current(), "the next login is well").toBe(KEY_ARN);
});

test.each([
  ["a line break", async () => "a\r\nx-evil: 1"],
  ["nothing", async () => ""],
])("an authorization for a container that is %s is never sent", async (_what, authorization) => {
  const uri = emulator.serveMetadata(ROLE);
  emulator.takeRequests();
  const key = open(containerCredentials({ uri, authorization }));
  expect(await refusal(() => key.current())).toMatchObject({ code: "access-denied", detail: "credential" });
  expect(paths()).toEqual([]);
});

test("credentials that end between two calls are fetched once more", async () => {
  const issued = [emulator.issueCredentials({ lifeSeconds: 60 }), emulator.issueCredentials({ lifeSeconds: 10 * HOUR_SECONDS })];
  let asked = 0;
  const key = open(async () => {
    const { expiration: _, ...credentials } = issued[asked++] ?? emulator.credentials; // the function does not tell when they end
    return credentials;
  });
  const recipient = await key.wrap(DEK, OPTIONS);
  clock.advanceNow(61_000);
  await Promise.all(Array.from({ length: 5 }, () => key.unwrap(recipient, OPTIONS)));
  expect(asked).toBe(2);
});

test("the same credentials again are not tried again", async () => {
  const { expiration: _, ...credentials } = emulator.issueCredentials({ lifeSeconds: 60 });
  const key = open(async () => credentials);
  await key.current();
  clock.advanceNow(61_000);
  emulator.takeRequests();
  expect(await refusal(() => key.current())).toMatchObject({ code: "access-denied", detail: "credential" });
  expect(paths()).toEqual(["POST /DescribeKey"]);
});

test("credentials that work go on serving while no others can be had", async () => {
  const key = open(assumeRole({ roleArn: ROLE, externalId: "acme-7", source: emulator.credentials, endpoint }));
  await key.current();
  clock.advanceNow(56 * 60_000);
  emulator.failNext({ status: 503, text: "" }, /AssumeRole/, 2);
  await key.current();
  clock.advanceNow(5 * 60_000);
  expect(await refusalCode(() => key.current())).toBe("unavailable");
});

test.each([
  ["throws", () => Promise.reject(new Error("no profile")), { cause: { message: "no profile" } }],
  ["gives nothing", async () => undefined, {}],
  ["gives half", async () => ({ accessKeyId: "AKIA" }), {}],
  ["gives what is no date", async () => ({ accessKeyId: "A", secretAccessKey: "b", expiration: "2030" }), {}],
])("a function that %s is told", async (_what, credentials, more) => {
  expect(await refusal(() => open(untyped(credentials)).current())).toMatchObject({ code: "access-denied", detail: "credential", ...more });
});

test.each([
  () => assumeRole({ roleArn: "orders", source: emulator.credentials }),
  () => assumeRole({ roleArn: ROLE, source: untyped("x") }),
  () => assumeRole({ roleArn: ROLE, source: emulator.credentials, externalId: "a b" }),
  () => assumeRole({ roleArn: ROLE, source: emulator.credentials, durationSeconds: 60 }),
  () => assumeRole({ roleArn: ROLE, source: emulator.credentials, sessionName: "a/b" }),
  () => assumeRole(untyped({ roleArn: ROLE, source: emulator.credentials, external: "x" })),
  () => webIdentity({ roleArn: ROLE, token: untyped("x") }),
  () => containerCredentials({ uri: "http://example.com/x" }),
  () => containerCredentials({ uri: "http://user@169.254.170.2/x" }),
  () => containerCredentials({ uri: "/x", authorization: untyped("x") }),
  () => instanceCredentials({ endpoint: "http://169.254.169.253" }),
  () => instanceCredentials(untyped({ host: "x" })),
])("bad options of a login are refused: %s", async (make) => {
  expect(await refusal(async () => make())).toMatchObject({ code: "invalid-argument" });
});

test("the addresses of metadata services may be reached by HTTP", () => {
  for (const uri of ["/v2/credentials/1", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"])
    expect(() => containerCredentials({ uri })).not.toThrow();
  expect(() => instanceCredentials({ endpoint: "http://[fd00:ec2::254]" })).not.toThrow();
});
