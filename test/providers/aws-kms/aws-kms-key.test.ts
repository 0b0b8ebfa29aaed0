import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type AwsKmsKeyOptions, awsKmsKey } from "../../../providers/aws-kms/index.ts";
import type { KeyProvider, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/index.ts";
import { AwsKmsEmulator } from "../../../src/testing/aws-kms-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const emulator = await AwsKmsEmulator.start();
afterAll(() => emulator.close());
const DEK = noise(32, "aws-kms");
const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: (keyId) => Buffer.from(`acme ${keyId}`) };
const KEY_ARN = emulator.createKey();
const OTHER_ARN = emulator.createKey();
beforeEach(() => {
  emulator.takeRequests();
  emulator.clearFaults();
});

describe("what is stored and shown", () => {
  test("is the service's ciphertext under the ARN of the answer, with the key context in clear and a digest", async () => {
    const recipient = await open().wrap(DEK, OPTIONS);
    expect(recipient).toMatchObject({ provider: "aws-kms", alg: 9, keyId: KEY_ARN });
    const sent = JSON.parse(emulator.takeRequests().at(-1)?.body ?? "");
    expect(sent).toMatchObject({
      KeyId: KEY_ARN,
      EncryptionContext: { tenant: "acme", "envelock:aad": expect.stringMatching(/^.{43}=$/) },
    });
  });

  test.each([
    ["too long", { tenant: "x".repeat(9000) }],
    ["with an empty value", { tenant: "" }],
  ])("a key context %s goes as the digest alone, which binds it", async (_what, keyContext) => {
    const options = { keyContext, wrapAad: OPTIONS.wrapAad };
    const recipient = await open().wrap(DEK, options);
    expect(Object.keys(JSON.parse(emulator.takeRequests().at(-1)?.body ?? "").EncryptionContext)).toEqual(["envelock:aad"]);
    expect(await open().unwrap(recipient, options)).toEqual(DEK);
    const other = { keyContext, wrapAad: () => Buffer.from("other") };
    expect(await refusalCode(() => open().unwrap(recipient, other))).toBe("unwrap-rejected");
  });

  test("with trackMaterial is the key material that wrapped, also after a rotation", async () => {
    const keyArn = emulator.createKey();
    const provider = open({ keyArn, trackMaterial: true });
    const first = await provider.wrap(DEK, OPTIONS);
    expect(first.keyId).toMatch(/#[0-9a-f]{64}$/);
    const material = emulator.rotate(keyArn);
    expect(await provider.current()).toBe(`${keyArn}#${material}`);
    expect((await provider.wrap(DEK, OPTIONS)).keyId).toBe(`${keyArn}#${material}`);
    expect(await provider.unwrap(first, OPTIONS)).toEqual(DEK);
    const moved = { ...first, keyId: `${keyArn}#${material}` };
    expect(await refusalCode(() => provider.unwrap(moved, OPTIONS)), "another material is named").toBe("unwrap-rejected");
    expect(await open({ keyArn }).unwrap(first, OPTIONS), "the bare form of the option opens both").toEqual(DEK);
  });

  test("of an RSA key is bare RSA-OAEP-256", async () => {
    const keyArn = emulator.createKey({ spec: "RSA_2048" });
    const recipient = await open({ keyArn, keyType: "rsa" }).wrap(DEK, OPTIONS);
    expect(recipient).toMatchObject({ alg: 3, keyId: keyArn });
    expect(recipient.wrapped).toHaveLength(256);
    const error = await refusal(() => open({ keyArn }).wrap(DEK, OPTIONS));
    expect(error).toMatchObject({ code: "provider-failure", detail: "key-type" });
  });
});

describe("a multi-region key", () => {
  test("opens what its replicas wrapped, in its own region", async () => {
    const keyArn = emulator.createKey({ multiRegion: true });
    const replica = emulator.replicate(keyArn, "us-east-1");
    const far = open({ keyArn: replica });
    const recipient = await far.wrap(DEK, OPTIONS);
    expect(recipient.keyId).toBe(replica);
    emulator.takeRequests();
    expect(await open({ keyArn, replicas: [replica] }).unwrap(recipient, OPTIONS)).toEqual(DEK);
    expect(JSON.parse(emulator.takeRequests()[0]?.body ?? "").KeyId).toBe(keyArn);
    expect(open({ keyArn }).owns(replica)).toBe(false);
    expect(open({ keyArn, replicas: [replica] }).owns(replica.replace("us-east-1", "us-west-2"))).toBe(false);
  });

  test.each([
    KEY_ARN,
    "arn:aws:kms:us-east-1:444455556666:key/mrk-0123456789abcdef0123456789abcdef",
  ])("takes %s for no replica", async (replica) => {
    const keyArn = emulator.createKey({ multiRegion: true });
    expect(await refusal(() => open({ keyArn, replicas: [replica] }))).toMatchObject({ code: "invalid-argument" });
  });
});

describe("the first wrap", () => {
  test("tries a round trip and another context, once for all that wrap at once", async () => {
    const provider = open();
    await Promise.all(Array.from({ length: 8 }, () => provider.wrap(DEK, OPTIONS)));
    const operations = emulator.takeRequests().map(({ operation, status }) => `${operation} ${status}`);
    expect(operations.slice(0, 3)).toEqual(["Encrypt 200", "Decrypt 200", "Decrypt 400"]);
    expect(operations.slice(3)).toEqual(Array.from({ length: 8 }, () => "Encrypt 200"));
  });

  test("fails at a service that ignores the context", async () => {
    const sent: string[] = [];
    const fetch: typeof emulator.fetch = async (url, request) => {
      const { Plaintext } = JSON.parse(request.body ?? "{}");
      if (typeof Plaintext === "string") sent.push(Plaintext);
      const answer = await emulator.fetch(url, request);
      return answer.status === 200 ? answer : new Response(JSON.stringify({ KeyId: KEY_ARN, Plaintext: sent.at(-1) }));
    };
    const error = await refusal(() => open({ fetch }).wrap(DEK, OPTIONS));
    expect(error).toMatchObject({ code: "provider-failure", detail: "context-ignored" });
    expect(sent, "the data key did not go out").not.toContain(Buffer.from(DEK).toString("base64"));
  });

  test("goes on where the credentials may encrypt alone", async () => {
    const credentials = emulator.issueCredentials({ allow: ["kms:Encrypt"] });
    const recipient = await open({ credentials }).wrap(DEK, OPTIONS);
    expect(await open().unwrap(recipient, OPTIONS)).toEqual(DEK);
    expect(await refusalCode(() => open({ credentials }).unwrap(recipient, OPTIONS))).toBe("access-denied");
    expect(await refusalCode(() => open({ credentials, trackMaterial: true }).wrap(DEK, OPTIONS))).toBe("access-denied");
  });

  test("works under a policy that allows one tenant's context alone", async () => {
    const credentials = emulator.issueCredentials({ onlyContext: { tenant: "acme" } });
    const provider = open({ credentials });
    const other = { ...OPTIONS, keyContext: { tenant: "other" } };
    const [right, wrong] = await Promise.allSettled([provider.wrap(DEK, OPTIONS), provider.wrap(DEK, other)]);
    expect(right.status).toBe("fulfilled");
    expect(wrong.status === "rejected" && wrong.reason).toMatchObject({ code: "access-denied" });
  });
});

describe("wrong answers", () => {
  const PLAINTEXT = Buffer.from(DEK).toString("base64");
  test.each([
    ["200 without the field", { KeyId: KEY_ARN }],
    ["200 without the key", { Plaintext: PLAINTEXT }],
    ["an answer of another key", { KeyId: OTHER_ARN, Plaintext: PLAINTEXT }],
    ["an answer of an alias", { KeyId: KEY_ARN.replace(/key\/.*/, "alias/orders"), Plaintext: PLAINTEXT }],
    ["a plaintext that is no base64", { KeyId: KEY_ARN, Plaintext: "!" }],
    ["a list", []],
  ])("%s is no plaintext", async (_what, answer) => {
    const provider = open();
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text: JSON.stringify(answer) });
    const error = await refusal(() => provider.unwrap(recipient, OPTIONS));
    expect(error).toMatchObject({ code: "provider-failure", detail: "broken-answer" });
  });

  test.each([
    ["another key", { KeyId: OTHER_ARN, CiphertextBlob: "AAAA" }],
    ["no ciphertext", { KeyId: KEY_ARN }],
    ["too long a ciphertext", { KeyId: KEY_ARN, CiphertextBlob: Buffer.alloc(4097).toString("base64") }],
  ])("an answer to a wrap with %s is refused", async (_what, answer) => {
    const provider = open();
    await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text: JSON.stringify(answer) });
    const error = await refusal(() => provider.wrap(DEK, OPTIONS));
    expect(error).toMatchObject({ code: "provider-failure", detail: "broken-answer" });
  });

  test("a plaintext of another length is no data key", async () => {
    const provider = open();
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text: JSON.stringify({ KeyId: KEY_ARN, Plaintext: "AAAA" }) });
    expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS))).toBe("unwrap-rejected");
  });

  test("a material that is not told is no match", async () => {
    const provider = open({ trackMaterial: true });
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text: JSON.stringify({ KeyId: KEY_ARN, Plaintext: PLAINTEXT }) });
    expect(await refusal(() => provider.unwrap(recipient, OPTIONS))).toMatchObject({ detail: "broken-answer" });
    emulator.failNext({ status: 200, text: JSON.stringify({ KeyMetadata: { Arn: KEY_ARN } }) });
    expect(await refusal(() => provider.current())).toMatchObject({ detail: "broken-answer" });
  });
});

test.each([7_200_000, -7_200_000])("a clock that is %i ms off is set right by the service's date, with one more call", async (ms) => {
  emulator.setClockAhead(ms);
  try {
    const provider = open();
    expect(await provider.current()).toBe(KEY_ARN);
    expect(emulator.takeRequests().map(({ status }) => status)).toEqual([400, 200]);
    await provider.current();
    expect(emulator.takeRequests().map(({ status }) => status)).toEqual([200]);
  } finally {
    emulator.setClockAhead(0);
  }
});

test("a moved alias changes nothing: keys are named by ARN", async () => {
  emulator.setAlias("alias/orders", KEY_ARN);
  const recipient = await open().wrap(DEK, OPTIONS);
  emulator.setAlias("alias/orders", emulator.createKey());
  expect(await open().unwrap(recipient, OPTIONS)).toEqual(DEK);
  const keyArn = KEY_ARN.replace(/key\/.*/, "alias/orders");
  expect((await refusal(() => open({ keyArn }))).hint).toContain("alias");
});

test("states of the key", async () => {
  const keyArn = emulator.createKey();
  const provider = open({ keyArn });
  const recipient = await provider.wrap(DEK, OPTIONS);
  for (const state of ["Disabled", "PendingDeletion", "PendingImport"] as const) {
    emulator.setState(keyArn, state);
    expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS)), state).toBe("key-disabled");
  }
  for (const state of ["Unavailable", "Creating"] as const) {
    emulator.setState(keyArn, state);
    expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS)), state).toBe("unavailable");
  }
  emulator.setState(keyArn, "Enabled");
  expect(await provider.unwrap(recipient, OPTIONS)).toEqual(DEK);
});

test("in a keyring: encrypt, rotate, rewrap, decrypt", async () => {
  const keyring = new Keyring({ wrapWith: [open({ trackMaterial: true })], context: { tenant: "acme" } });
  const envelope = await keyring.encrypt(noise(1000));
  expect(await keyring.needsRewrap(envelope)).toBe(false);
  emulator.rotate(KEY_ARN);
  expect(await keyring.needsRewrap(envelope)).toBe(true);
  const moved = await keyring.rewrap(envelope);
  expect(await keyring.needsRewrap(moved)).toBe(false);
  expect(await keyring.decrypt(moved)).toEqual(noise(1000));
  const other = new Keyring({ wrapWith: [open()], context: { tenant: "other" } });
  expect(await refusalCode(() => other.decrypt(moved))).toBe("authentication-failed");
});

test.each([
  ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", {}, "kms.eu-central-1.amazonaws.com"],
  ["arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", { fips: true }, "kms-fips.us-east-1.amazonaws.com"],
  ["arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", { dualStack: true }, "kms.us-east-1.api.aws"],
  ["arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", {}, "kms.cn-north-1.amazonaws.com.cn"],
  [
    "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    { fips: true },
    "kms-fips.us-gov-west-1.amazonaws.com",
  ],
])("%s with %j is asked of %s", async (keyArn, traits, host) => {
  const urls: string[] = [];
  const fetch: typeof emulator.fetch = async (url) => {
    urls.push(url);
    return new Response(JSON.stringify({ KeyMetadata: { Arn: keyArn } }));
  };
  const key = awsKmsKey({ keyArn, credentials: emulator.credentials, fetch, ...traits });
  expect(await key.current()).toBe(keyArn);
  expect(urls).toEqual([`https://${host}/`]);
});

test.each([
  [{ keyArn: "alias/orders" }],
  [{ keyArn: "1234abcd-12ab-34cd-56ef-1234567890ab" }],
  [{ keyArn: "arn:aws-iso:kms:us-iso-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }],
  [{ keyArn: "arn:aws:kms:evil.example/:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }],
  [{ keyArn: `${KEY_ARN}#` }],
  [{ keyArn: 7 }],
  [{ keyType: "aes" }],
  [{ keyType: "rsa", trackMaterial: true }],
  [{ trackMaterial: "yes" }],
  [{ replicas: "x" }],
  [{ replicas: [null] }],
  [{ replicas: [{ keyArn: KEY_ARN }] }],
  [{ failover: "yes" }],
  [{ fips: 1 }],
  [{ endpoint: "http://kms.example" }],
  [{ endpoint: "https://kms.example/path" }],
  [{ credentials: { accessKeyId: "a b", secretAccessKey: "x" } }],
  [{ credentials: { accessKeyId: "a" } }],
  [{ credentials: "AKIA" }],
  [{ credential: {} }],
])("the options %j are refused", async (options) => {
  expect(await refusal(() => open(untyped(options)))).toMatchObject({ code: "invalid-argument" });
});

function open(options: Partial<AwsKmsKeyOptions> = {}): Required<KeyProvider> {
  return awsKmsKey({ ...emulator.connection, keyArn: KEY_ARN, ...options });
}
