import { once } from "node:events";
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { afterAll, describe, expect, test } from "vitest";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { GcsEmulator } from "../../src/testing/gcs/index.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

// What holds for every emulator.

interface Emulator {
  readonly url: string;
  readonly ca: string;
  failNext(fault: "garbage" | { status: number; text: string; headers: Record<string, string> }): void;
  close(): Promise<void>;
}

const clock = fakeClock();
const azure = await AzureEmulator.start({ clock });
const EMULATORS: Readonly<Record<string, Emulator>> = {
  AwsKmsEmulator: await AwsKmsEmulator.start({ clock }),
  AzureEmulator: azure,
  GcpKmsEmulator: await GcpKmsEmulator.start({ clock }),
  GcsEmulator: await GcsEmulator.start({ clock }),
  S3Emulator: await S3Emulator.start({ clock }),
  VaultEmulator: await VaultEmulator.start({ clock }),
};
const STARTS: readonly (readonly [string, (options: object) => Promise<unknown>])[] = [
  ["AwsKmsEmulator", AwsKmsEmulator.start],
  ["AzureEmulator", AzureEmulator.start],
  ["GcpKmsEmulator", GcpKmsEmulator.start],
  ["GcsEmulator", GcsEmulator.start],
  ["S3Emulator", S3Emulator.start],
  ["VaultEmulator", VaultEmulator.start],
];
afterAll(async () => await Promise.all(Object.values(EMULATORS).map((emulator) => emulator.close())));

describe.each(Object.entries(EMULATORS))("%s", (_name, emulator) => {
  test("answers with the date of its clock: what it serves, what it refuses, and what was ordered", async () => {
    for (const path of ["/", "/nothing/of/the/kind", "//"]) expect((await asked(emulator, path)).date, path).toBe(now());
    emulator.failNext("garbage");
    expect((await asked(emulator, "/")).date).toBe(now());
    clock.advanceNow(90_000_000);
    expect((await asked(emulator, "/")).date).toBe(now());
    emulator.failNext({ status: 503, text: "", headers: { date: "Thu, 01 Jan 1970 00:00:00 GMT" } });
    expect((await asked(emulator, "/")).date).toBe("Thu, 01 Jan 1970 00:00:00 GMT");
  });

  test.each([
    "//",
    "///",
    "http://",
    "*",
    "/%",
    "/keys/%ff",
    "//[",
    "ftp://x/",
    "/\\\\",
  ])("answers a request for %j, and goes on", async (target) => {
    expect((await asked(emulator, target)).status).toBeGreaterThanOrEqual(400);
    expect((await asked(emulator, "/")).status).toBeGreaterThanOrEqual(200);
  });
});

test("the date of a managed identity's endpoint is that of the emulator's clock", async () => {
  const url = await azure.serveManagedIdentity();
  for (const path of ["/nothing", "/metadata/identity/oauth2/token?resource=https://vault.azure.net", "//"])
    expect((await asked({ url, ca: "" }, path)).date, path).toBe(now());
});

test.each(STARTS)("%s has no option that it does not know", async (name, start) => {
  expect(await refusal(() => start(untyped({ clok: clock })))).toMatchObject({
    code: "invalid-argument",
    message: `${name}.start has no option \`clok\``,
    hint: "did you mean `clock`?",
  });
});

function now(): string {
  return new Date(clock.unixMs()).toUTCString();
}

/** @param path written as it is, also where it is none */
async function asked({ url, ca }: { url: string; ca: string }, path: string): Promise<{ status: number; date: string | undefined }> {
  const { hostname, port, protocol } = new URL(url);
  const place = { hostname, port, path, headers: { metadata: "true" } };
  const request = protocol === "http:" ? plainRequest(place) : secureRequest({ ...place, ca });
  request.end();
  const [response]: readonly import("node:http").IncomingMessage[] = await once(request, "response");
  response?.resume();
  return { status: response?.statusCode ?? 0, date: response?.headers.date };
}
