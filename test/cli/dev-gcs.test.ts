import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import { refusal } from "../support/refusal.ts";
import { refused, scratch, start } from "./runner.ts";

const { at } = scratch();

test("dev gcs serves a store, and meets the faults that were ordered", async () => {
  const buckets = ["--bucket", "invoices", "--bucket", "archive:versions"];
  const running = start([
    "dev",
    "gcs",
    ...buckets,
    "--token-out",
    at("token"),
    "--fault",
    "backendError@objects.list",
    "--json",
    "--verbose",
  ]);
  const told: { readonly url: string; readonly token: string; readonly environment: Readonly<Record<string, string>> } = JSON.parse(
    await running.firstLine,
  );
  const { url, token, environment } = told;
  expect(told).toMatchObject({ buckets: ["invoices", "archive"] });
  expect(environment).toEqual({
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${url}/storage/v1/`,
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: at("token"),
  });
  expect(readFileSync(at("token"), "utf8")).toBe(`${token}\n`);
  const store = gcsBlobs({ url, token, bucket: "invoices" });
  expect(await refusal(() => store.list({ limit: 1 }))).toMatchObject({ code: "unavailable" });
  expect(await store.list({ limit: 1 })).toEqual([]);
  running.kill("SIGTERM");
  const { exitCode, stderr } = await running.done;
  expect(exitCode).toBe(0);
  expect(stderr).toContain("GET /invoices objects.list 200 owner@acme.iam.gserviceaccount.com");
});

test.each([
  ["--bucket", "No"],
  ["--bucket", "archive:version"],
  ["--fault", "backEndError"],
  ["--ca-out", "without-https.pem"],
])("dev gcs refuses %s %s", async (option, value) => {
  await refused(2, "invalid-argument", ["dev", "gcs", option, option === "--ca-out" ? at(value) : value]);
});
