import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { sha2 } from "#sha2";
import type { BlobStore } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { S3Place } from "../../src/blobs/s3/signing.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { noise } from "../support/arbitraries.ts";
import { refusal } from "../support/refusal.ts";
import { memoryOverlays } from "./overlay-table.ts";
import { storeOf } from "./set-up.ts";

const REQUEST = { method: "GET", name: "a", query: {}, headers: {} } as const;
const PLACE = { url: "https://acme.s3.eu-central-1.amazonaws.com", region: "eu-central-1" };

test("credentials of a function derive a signing key once, until another one of their texts comes", async () => {
  const macs = vi.spyOn(sha2, "hmacSha256");
  onTestFinished(() => macs.mockRestore());
  const given = { accessKeyId: "AKIA1", secretAccessKey: "secret", sessionToken: "token" };
  const signer = new S3Place({ ...PLACE, credentials: async () => ({ ...given }) }).signer();
  const derived = async (change: Partial<typeof given>): Promise<boolean> => {
    Object.assign(given, change);
    macs.mockClear();
    const { headers } = await signer.sign(REQUEST);
    const authorization = expect.stringContaining(`Credential=${given.accessKeyId}/`);
    expect(headers).toMatchObject({ authorization, "x-amz-security-token": given.sessionToken });
    return macs.mock.calls.length > 1; // one is the signature's own
  };
  expect([await derived({}), await derived({}), await derived({})]).toEqual([true, false, false]);
  for (const change of [{ accessKeyId: "AKIA2" }, { secretAccessKey: "other" }, { sessionToken: "next" }])
    expect([await derived(change), await derived({})]).toEqual([true, false]);
});

describe("a service whose clock is an hour ahead", async () => {
  const emulator = await S3Emulator.start();
  afterAll(() => emulator.close());
  emulator.createBucket("blobs");
  const { url, connection } = emulator;
  const open = (credentials = emulator.credentials): BlobStore =>
    s3Blobs({ url: `${url}/blobs`, region: connection.region, credentials }, { mode: "aws", rewrap: memoryOverlays() });
  await storeOf(open()).put("a", noise(10));
  emulator.setClockAhead(3_600_000);

  test("is followed by a delete, which begins with HEAD", async () => {
    await storeOf(open()).put("b", noise(10));
    emulator.takeRequests();
    expect(await open().delete("b")).toBe(true);
    expect(emulator.takeRequests().map(({ method, status }) => `${method} ${status}`)).toEqual(["HEAD 403", "HEAD 200", "DELETE 204"]);
  });

  test("a HEAD that is refused for another reason is sent once, where the clock is right", async () => {
    const backing = open(emulator.issueCredentials({ allow: ["s3:PutObject"] }));
    await storeOf(backing).put("c", noise(10));
    emulator.takeRequests();
    expect(await refusal(() => backing.delete("c"))).toMatchObject({ code: "access-denied" });
    expect(emulator.takeRequests().map(({ method, status }) => `${method} ${status}`)).toEqual(["HEAD 403"]);
  });

  test("is followed by each of several requests at once", async () => {
    const backing = open();
    const opened = await Promise.all(["a", "a", "a"].map((name) => backing.open(name, 10)));
    expect(opened.map((blob) => blob?.size)).toEqual(Array.from(opened, () => expect.any(Number)));
  });
});
