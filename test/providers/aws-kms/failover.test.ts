import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { type AwsKmsKeyOptions, awsKmsKey } from "../../../providers/aws-kms/index.ts";
import type { KeyProvider, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/index.ts";
import { AwsKmsEmulator } from "../../../src/testing/aws-kms-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

// A multi-region key with `failover`: what is called, in which order, and whose answer counts.

const clock = fakeClock();
const emulator = await AwsKmsEmulator.start({ clock });
afterAll(() => emulator.close());
const DEK = noise(32, "failover");
const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: (keyId) => Buffer.from(`acme ${keyId}`) };
const keyArn = emulator.createKey({ multiRegion: true });
const replica = emulator.replicate(keyArn, "us-east-1");
const third = emulator.replicate(keyArn, "ap-southeast-2");
const endpoint = emulator.url;
const replicas = [replica, third].map((arn) => ({ keyArn: arn, endpoint }));
/** What each region answers in place of the emulator, by the ARN that is asked. */
const answers = new Map<string, { status: number; text: string } | "reset" | "hang">();
const asked: string[] = [];
const fetch: typeof emulator.fetch = async (url, request) => {
  const { KeyId } = JSON.parse(request.body ?? "{}");
  asked.push(KeyId.split(":")[3]);
  const answer = answers.get(KeyId);
  if (answer === "reset") throw Object.assign(new Error("gone"), { code: "ECONNRESET" });
  if (answer === "hang") return await new Promise(() => undefined);
  return answer === undefined ? await emulator.fetch(url, request) : new Response(answer.text, { status: answer.status });
};
const DOWN = { status: 503, text: "" };
const DENIED = { status: 400, text: JSON.stringify({ __type: "AccessDeniedException" }) };
const options = { keyArn, replicas, fetch, clock, failover: true };
beforeEach(() => {
  answers.clear();
  asked.length = 0;
  clock.advanceNow(60_000);
});

test("a key is called in its nearest region alone while that answers", async () => {
  const provider = open(options);
  await provider.unwrap(await provider.wrap(DEK, OPTIONS), OPTIONS);
  expect(new Set(asked)).toEqual(new Set(["eu-central-1"]));
});

test.each([DOWN, "reset"] as const)("a key wraps and unwraps in the next one after %j, and stores the ARN that answered", async (fault) => {
  const provider = open(options);
  const before = await provider.wrap(DEK, OPTIONS);
  answers.set(keyArn, fault);
  asked.length = 0;
  expect(await provider.unwrap(before, OPTIONS)).toEqual(DEK);
  expect(asked).toEqual(["eu-central-1", "us-east-1"]);
  const during = await provider.wrap(DEK, OPTIONS);
  expect(during.keyId).toBe(replica);
  expect(
    asked.filter((region) => region === "eu-central-1"),
    "the dead region is not waited for again",
  ).toHaveLength(1);
  answers.clear();
  clock.advanceNow(30_000);
  asked.length = 0;
  expect(await provider.unwrap(during, OPTIONS)).toEqual(DEK);
  expect((await provider.wrap(DEK, OPTIONS)).keyId, "the nearest is back").toBe(keyArn);
  expect(new Set(asked)).toEqual(new Set(["eu-central-1"]));
  expect(await open({ keyArn, replicas: [replica] }).unwrap(during, OPTIONS), "with the replica's own context").toEqual(DEK);
});

test("a key goes on to the third, and back to the first where none answers", async () => {
  const provider = open(options);
  const recipient = await provider.wrap(DEK, OPTIONS);
  answers.set(keyArn, DOWN).set(replica, "reset");
  asked.length = 0;
  expect(await provider.unwrap(recipient, OPTIONS)).toEqual(DEK);
  expect(asked).toEqual(["eu-central-1", "us-east-1", "ap-southeast-2"]);
  answers.set(third, DOWN);
  asked.length = 0;
  const error = await refusal(() => provider.unwrap(recipient, OPTIONS));
  expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining(keyArn) });
  expect(asked).toEqual(["ap-southeast-2", "eu-central-1", "us-east-1"]);
});

test.each([
  ["AccessDeniedException", "access-denied"],
  ["DisabledException", "key-disabled"],
  ["ThrottlingException", "rate-limited"],
  ["InvalidCiphertextException", "unwrap-rejected"],
])("a key takes %s of the nearest region for its answer", async (type, code) => {
  const provider = open(options);
  const recipient = await provider.wrap(DEK, OPTIONS);
  answers.set(keyArn, { status: 400, text: JSON.stringify({ __type: type }) });
  asked.length = 0;
  expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS))).toBe(code);
  expect(asked).toEqual(["eu-central-1"]);
});

test.each(["encrypt", "decrypt"] as const)("a keyring with defaults leaves a region that hangs at its next attempt: %s", async (call) => {
  const keyring = new Keyring({ wrapWith: [open(options)], context: { tenant: "acme" }, clock });
  const envelope = await keyring.encrypt(DEK);
  answers.set(keyArn, "hang");
  asked.length = 0;
  const pending = call === "encrypt" ? keyring.encrypt(DEK) : keyring.decrypt(envelope);
  await vi.waitFor(() => expect(asked).toEqual(["eu-central-1"]));
  await clock.advance(10_000); // the deadline of an attempt
  await clock.advance(1000); // the wait before the next one
  await vi.waitFor(() => expect(new Set(asked.slice(1))).toEqual(new Set(["us-east-1"])));
  await pending;
  expect(asked.filter((region) => region !== "us-east-1")).toEqual(["eu-central-1"]);
  asked.length = 0;
  await keyring.decrypt(envelope);
  expect(asked, "the replica is first for half a minute").toEqual(["us-east-1"]);
});

test("a key takes a refusal of a replica for no refusal of the key", async () => {
  const provider = open(options);
  const recipient = await provider.wrap(DEK, OPTIONS);
  answers.set(keyArn, DOWN).set(replica, DENIED).set(third, DENIED);
  for (const what of ["at the first call", "while the nearest is passed over"]) {
    const error = await refusal(() => provider.unwrap(recipient, OPTIONS));
    expect(error, what).toMatchObject({ code: "unavailable", retryable: true, message: expect.stringContaining(keyArn) });
  }
});

test("a key refuses at a replica what was changed", async () => {
  const provider = open(options);
  const recipient = await provider.wrap(DEK, OPTIONS);
  answers.set(keyArn, DOWN);
  const other = { ...OPTIONS, wrapAad: () => new Uint8Array([9]) };
  expect(await refusalCode(() => provider.unwrap(recipient, other))).toBe("unwrap-rejected");
});

test("a key tries the context of a replica before its first wrap too", async () => {
  const provider = open(options);
  answers.set(keyArn, DOWN);
  const recipient = await provider.wrap(DEK, OPTIONS);
  expect(asked).toEqual(["eu-central-1", ...Array.from({ length: 4 }, () => "us-east-1")]);
  expect(recipient.keyId).toBe(replica);
});

test("a key names the nearest as current, whatever answers", async () => {
  const provider = open({ ...options, trackMaterial: true });
  answers.set(keyArn, DOWN);
  expect((await provider.wrap(DEK, OPTIONS)).keyId).toMatch(`${replica}#`);
  expect(await refusalCode(() => provider.current())).toBe("unavailable");
  answers.clear();
  expect(await provider.current()).toMatch(`${keyArn}#`);
});

test("a key names the replica whose answer is broken", async () => {
  const provider = open({ ...options, trackMaterial: true });
  const recipient = await provider.wrap(DEK, OPTIONS);
  const answer = { KeyId: replica, Plaintext: Buffer.from(DEK).toString("base64") };
  answers.set(keyArn, DOWN).set(replica, { status: 200, text: JSON.stringify(answer) });
  const error = await refusal(() => provider.unwrap(recipient, OPTIONS));
  expect(error).toMatchObject({ code: "provider-failure", message: expect.stringContaining(replica) });
});

test("a key does not leave its region without the option", async () => {
  const provider = open({ ...options, failover: false });
  answers.set(keyArn, DOWN);
  expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("unavailable");
  expect(new Set(asked)).toEqual(new Set(["eu-central-1"]));
});

function open(given: Partial<AwsKmsKeyOptions> & { keyArn: string }): Required<KeyProvider> {
  return awsKmsKey({ ...emulator.connection, clock, ...given });
}
