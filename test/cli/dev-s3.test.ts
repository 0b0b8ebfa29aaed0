import { expect, test } from "vitest";
import { sdkClient } from "../testing/s3/sdk.ts";
import { refused, scratch, start } from "./runner.ts";

const { at } = scratch();

test("dev s3 serves a client, and meets the faults that were ordered", async () => {
  const args = [
    "--bucket",
    "invoices",
    "--bucket",
    "archive:versions",
    "--service",
    "r2",
    "--fault",
    "SlowDown@PutObject",
    "--json",
    "--verbose",
  ];
  const running = start(["dev", "s3", ...args]);
  const told: { readonly buckets: readonly string[]; readonly region: string; readonly environment: Readonly<Record<string, string>> } =
    JSON.parse(await running.firstLine);
  expect(told).toMatchObject({ buckets: ["invoices", "archive"], region: "us-east-1", environment: { AWS_REGION: "us-east-1" } });
  const { AWS_ENDPOINT_URL_S3 = "", AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = told.environment;
  expect(AWS_ENDPOINT_URL_S3).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
  const client = sdkClient({ endpoint: AWS_ENDPOINT_URL_S3, region: told.region, credentials, forcePathStyle: true });
  const put = { Bucket: "invoices", Key: "x", Body: "x" };
  await expect(client.send("PutObject", put)).rejects.toMatchObject({ name: "SlowDown" });
  await client.send("PutObject", put);
  expect(await client.bytes({ Bucket: "invoices", Key: "x" })).toHaveLength(1);
  running.kill("SIGTERM");
  const { exitCode, stderr } = await running.done;
  expect(exitCode).toBe(0);
  expect(stderr).toContain(`PUT /invoices/x PutObject 200 ${AWS_ACCESS_KEY_ID}`);
});

test.each([
  ["--bucket", "No"],
  ["--bucket", "archive:version"],
  ["--service", "gcs"],
  ["--fault", "SlowDwn"],
  ["--ca-out", "without-https.pem"],
])("dev s3 refuses %s %s", async (option, value) => {
  await refused(2, "invalid-argument", ["dev", "s3", option, option === "--ca-out" ? at(value) : value]);
});
