import { afterAll, expect, test } from "vitest";
import { isS3Code, S3Answer } from "../../../src/testing/s3/answer.ts";
import { S3Emulator } from "../../../src/testing/s3/index.ts";
import { OPERATIONS } from "../../../src/testing/s3/operations.ts";
import { operationOf, targetOf } from "../../../src/testing/s3/target.ts";
import { sdkClient } from "./sdk.ts";

// What the emulator answers, against the model of the service that the SDK carries: operations, their routes and their errors.

const emulator = await S3Emulator.start();
afterAll(() => emulator.close());
const Bucket = emulator.createBucket("model");
const { sdk, client } = sdkClient(emulator.connection);

interface ModelledOperation {
  readonly name: string;
  readonly method: string;
  /** The path with its query, for example `/{Key+}?uploads`. */
  readonly path: string;
  /** The names in the query that a request needs. */
  readonly query: readonly string[];
  readonly headers: readonly string[];
}

const model: readonly ModelledOperation[] = Object.values<readonly unknown[]>(sdk.s3).flatMap((entry): readonly ModelledOperation[] => {
  const [kind, , name, traits, input] = Array.isArray(entry) ? entry : [];
  if (kind !== 9) return [];
  const [method, path] = traits.http;
  const members: readonly unknown[] = (typeof input === "function" ? input() : input)[5] ?? [];
  const named = (trait: string): readonly string[] =>
    members.flatMap((member) => (Array.isArray(member) && member[1]?.[trait] !== undefined ? [`${member[1][trait]}`] : []));
  return [{ name, method, path, query: named("httpQuery"), headers: named("httpHeader") }];
});

test("every operation is one of the service, and its route leads to it", () => {
  expect(model.length).toBeGreaterThan(100);
  for (const name of Object.keys(OPERATIONS)) {
    const modelled = model.find((one) => one.name === name);
    expect(modelled, name).toBeDefined();
    const { method = "", path = "" } = modelled ?? {};
    const query = [path.split("?")[1] ?? "", NEEDED[name] ?? ""].filter((part) => part !== "").join("&");
    const onBucket = path.startsWith("/{Key+}") ? `/${Bucket}/key` : name === "ListBuckets" ? "/" : `/${Bucket}`;
    const headers = name.includes("Copy") ? { "x-amz-copy-source": "a/b" } : {};
    const target = targetOf(`${onBucket}?${query}`, headers);
    expect(target === undefined ? undefined : operationOf(method, target, headers), name).toBe(name);
  }
});

test("every name in a query is one of the model, operation by operation", () => {
  for (const [name, { query = [] }] of Object.entries(OPERATIONS)) {
    const modelled = model.find((one) => one.name === name);
    const literal = (modelled?.path.split("?")[1] ?? "").split("&").map((pair) => pair.split("=")[0]);
    const known = [...(modelled?.query ?? []), ...literal];
    for (const one of query) if (!(EXTRA[name] ?? []).includes(one)) expect(known, `${name} ${one}`).toContain(one);
  }
});

test("operations of the service that are not there are refused, and change nothing", async () => {
  const others = model.filter(({ name }) => !Object.hasOwn(OPERATIONS, name));
  expect(others.length).toBeGreaterThan(60);
  const presigned = (method: string, key: string, query: Readonly<Record<string, string>>): Promise<Response> =>
    fetch(emulator.presign(method, Bucket, key, { query }), { method, ...(method !== "GET" && method !== "HEAD" && { body: "x" }) });
  let asked = 0;
  for (const { name, method, path } of others) {
    const [route = "", text = ""] = path.split("?");
    const query = new URLSearchParams(text);
    query.delete("x-id");
    if (!["/", "/{Key+}"].includes(route) || query.size === 0) continue; // not of a bucket, or told apart by its host
    const answer = await presigned(method, route === "/" ? "" : "key", Object.fromEntries(query));
    expect([405, 501], name).toContain(answer.status);
    asked++;
  }
  expect(asked).toBeGreaterThan(50);
  expect(emulator.objectBytes(Bucket, "key")).toBeUndefined();
});

test("every modelled error can be ordered, with the status of the model", async () => {
  const errors = Object.values<readonly unknown[]>(sdk.s3).flatMap(
    (entry): readonly { readonly name: string; readonly status: number }[] => {
      const [kind, , name, traits] = Array.isArray(entry) ? entry : [];
      return kind === -3 && typeof traits === "object" && traits.httpError !== undefined ? [{ name, status: traits.httpError }] : [];
    },
  );
  expect(errors.length).toBeGreaterThan(15);
  for (const { name, status } of errors) {
    if (!isS3Code(name)) throw new Error(`${name} is not known`);
    expect(new S3Answer(name).status, name).toBe(status);
    emulator.failNext(name, /GetObject/);
    const asked = client.send(new sdk.s3.GetObjectCommand({ Bucket, Key: "x" }));
    await expect(asked, name).rejects.toMatchObject({ name, $metadata: { httpStatusCode: status } });
  }
});

test("every header of the emulator's is one of the model", () => {
  const known = new Set(model.flatMap(({ headers }) => headers.map((header) => header.toLowerCase())));
  for (const header of MODELLED) expect(known, header).toContain(header);
});

/** What tells an operation from another in a query that the model states as members. */
const NEEDED: Readonly<Record<string, string>> = {
  UploadPart: "partNumber=1&uploadId=u",
  UploadPartCopy: "partNumber=1&uploadId=u",
  ListParts: "uploadId=u",
  CompleteMultipartUpload: "uploadId=u",
  AbortMultipartUpload: "uploadId=u",
  GetObjectAnnotation: "annotationName=a",
};

/** Names that the model lacks, and clients send. */
const EXTRA: Readonly<Record<string, readonly string[]>> = {
  ListObjectAnnotations: [],
  ListParts: ["encoding-type"],
};

const MODELLED = [
  ...["x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-mp-object-size", "x-amz-object-if-match"],
  ...["x-amz-metadata-directive", "x-amz-tagging-directive", "x-amz-object-annotation-directive", "x-amz-checksum-crc64nvme"],
  ...["x-amz-object-attributes", "x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-storage-class", "if-match", "if-none-match"],
];
