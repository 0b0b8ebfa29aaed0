import { expect, onTestFinished, test, vi } from "vitest";
import { S3Place } from "../../src/blobs/s3/signing.ts";

const REQUEST = { method: "GET", name: "a", query: {}, headers: {} } as const;
const PLACE = { url: "https://acme.s3.eu-central-1.amazonaws.com", region: "eu-central-1" };

test("credentials of a function derive a signing key once, until another one of their texts comes", async () => {
  const imports = vi.spyOn(crypto.subtle, "importKey");
  onTestFinished(() => imports.mockRestore());
  const given = { accessKeyId: "AKIA1", secretAccessKey: "secret", sessionToken: "token" };
  const signer = new S3Place({ ...PLACE, credentials: async () => ({ ...given }) }).signer();
  const derived = async (change: Partial<typeof given>): Promise<boolean> => {
    Object.assign(given, change);
    imports.mockClear();
    const { headers } = await signer.sign(REQUEST);
    const authorization = expect.stringContaining(`Credential=${given.accessKeyId}/`);
    expect(headers).toMatchObject({ authorization, "x-amz-security-token": given.sessionToken });
    return imports.mock.calls.length > 0;
  };
  expect([await derived({}), await derived({}), await derived({})]).toEqual([true, false, false]);
  for (const change of [{ accessKeyId: "AKIA2" }, { secretAccessKey: "other" }, { sessionToken: "next" }])
    expect([await derived(change), await derived({})]).toEqual([true, false]);
});
