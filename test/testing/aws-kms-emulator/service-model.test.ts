import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { isFaultName } from "../../../src/testing/aws-kms-emulator/faults.ts";
import { AwsKmsEmulator } from "../../../src/testing/aws-kms-emulator/index.ts";
import { OPERATIONS } from "../../../src/testing/aws-kms-emulator/operations.ts";
import { noise } from "../../support/arbitraries.ts";
import { fileOfPackages } from "../../support/debian-packages.ts";

// The operations and errors of the emulator against AWS's own service model, as Debian's botocore carries it.

interface ServiceModel {
  readonly operations: Readonly<Record<string, { readonly errors?: readonly { readonly shape: string }[] }>>;
  readonly shapes: Readonly<Record<string, { readonly fault?: boolean; readonly exception?: boolean }>>;
}

const emulator = await AwsKmsEmulator.start();
afterAll(() => emulator.close());
/** Of 2025, and so not in the model of 2022. */
const NEWER = ["ListKeyRotations", "RotateKeyOnDemand"];
/** What every service of AWS may answer, and what the model lists for operations of custom key stores alone. */
const COMMON = new Set(["AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "ThrottlingException"]);

test("every operation is one of the service", () => {
  const { operations } = model();
  for (const name of Object.keys(OPERATIONS)) if (!NEWER.includes(name)) expect(Object.keys(operations)).toContain(name);
});

test("every modelled error of every operation can be ordered, with the status of its fault", async () => {
  const { operations, shapes } = model();
  const known = Object.keys(OPERATIONS).filter((name) => !NEWER.includes(name));
  const errors = new Set(known.flatMap((name) => (operations[name]?.errors ?? []).map(({ shape }) => shape)));
  expect(errors.size).toBeGreaterThan(20);
  const { signed, target } = request();
  for (const shape of errors) {
    emulator.failNext(faultOf(shape));
    const answer = await emulator.fetch(target, signed);
    const text = await new Response(answer.body).text();
    expect(JSON.parse(text).__type).toBe(shape);
    expect(answer.status, shape).toBe(shapes[shape]?.fault === true ? 500 : 400);
  }
});

test("errors that come of themselves are of the model, by operation", async () => {
  const { operations } = model();
  const keyArn = emulator.createKey();
  const { awsKmsKey } = await import("../../../providers/aws-kms/index.ts");
  const options = { keyContext: {}, wrapAad: () => new Uint8Array(0) };
  const key = awsKmsKey({ ...emulator.connection, keyArn });
  const recipient = await key.wrap(noise(32), options);
  const met: [operation: string, type: string][] = [];
  const note = async (operation: string, work: Promise<unknown>): Promise<void> => {
    await work.catch((error: Error) => met.push([operation, error.cause instanceof Error ? error.cause.message : "none"]));
  };
  await note("Decrypt", key.unwrap({ ...recipient, wrapped: recipient.wrapped.map((byte) => byte ^ 1) }, options));
  for (const state of ["Disabled", "PendingDeletion", "Unavailable", "Creating"] as const) {
    emulator.setState(keyArn, state);
    await note("Decrypt", key.unwrap(recipient, options));
    await note("Encrypt", key.wrap(noise(32), options));
  }
  const missing = awsKmsKey({ ...emulator.connection, keyArn: keyArn.replace(/.$/, (last) => (last === "0" ? "1" : "0")) });
  await note("DescribeKey", missing.current());
  expect(met).toHaveLength(10);
  for (const [operation, type] of met) {
    const listed = (operations[operation]?.errors ?? []).map(({ shape }) => shape);
    if (!COMMON.has(type)) expect(listed, operation).toContain(type);
  }
});

function faultOf(shape: string): Parameters<AwsKmsEmulator["failNext"]>[0] {
  if (shape === "KMSInvalidStateException") return "PendingDeletion";
  if (isFaultName(shape)) return shape;
  throw new Error(`${shape} cannot be ordered`);
}

function request(): { readonly target: string; readonly signed: Parameters<typeof emulator.fetch>[1] } {
  const headers = { "x-amz-target": "TrentService.Encrypt", "content-type": "application/x-amz-json-1.1" };
  const { signal } = new AbortController();
  return { target: `${emulator.url}/`, signed: { method: "POST", headers, body: "{}", redirect: "manual", signal } };
}

function model(): ServiceModel {
  const path = "/usr/lib/python3/dist-packages/botocore/data/kms/2014-11-01/service-2.json";
  if (!existsSync(path) && !existsSync(`${path}.gz`)) fileOfPackages([path], ["python3-botocore"]);
  return JSON.parse(existsSync(path) ? readFileSync(path, "utf8") : gunzipSync(readFileSync(`${path}.gz`)).toString());
}
