import { createRequire } from "node:module";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RequestToSign, signedHeaders, signedQuery } from "../../../src/core/base/sigv4.ts";
import { installed } from "../../support/npm-tools.ts";

const CREDENTIALS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const NOW_MS = Date.UTC(2015, 7, 30, 12, 36, 0);
const GET: RequestToSign = { method: "GET", host: "example.amazonaws.com", path: "/", headers: {}, body: "" };

/** Cases of AWS's Signature Version 4 test suite, by the names that they have there. */
describe("the published test suite", () => {
  test.each<readonly [string, Partial<RequestToSign>, string]>([
    ["get-vanilla", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
    [
      "get-vanilla-query-order-key-case",
      {
        query: [
          ["Param2", "value2"],
          ["Param1", "value1"],
        ],
      },
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ],
    ["post-vanilla", { method: "POST" }, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
    [
      "post-header-key-sort",
      { method: "POST", headers: { "my-header1": "value1" } },
      "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ],
    [
      "post-x-www-form-urlencoded",
      { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "Param1=value1" },
      "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ],
  ])("%s", async (_name, change, signature) => {
    const scope = { region: "us-east-1", service: "service", credentials: CREDENTIALS, nowMs: NOW_MS };
    const { authorization } = signedHeaders({ ...GET, ...change }, scope);
    expect(authorization.split("Signature=")[1]).toBe(signature);
  });
});

const modules = installed("foreign", ["@smithy/signature-v4@5.7.5", "@aws-crypto/sha256-js@5.2.0"]);
const load = createRequire(join(modules, "..", "package.json"));
const { SignatureV4 } = load("@smithy/signature-v4");
const { Sha256 } = load("@aws-crypto/sha256-js");

test("the same authorization as AWS's own signer, whatever is signed", async () => {
  const word = fc.stringMatching(/^[ -~]{1,20}$/);
  const property = fc.asyncProperty(fc.string({ unit: "grapheme" }), word, fc.boolean(), async (body, value, isTemporary) => {
    const credentials = { ...CREDENTIALS, ...(isTemporary && { sessionToken: "token//x+y=" }) };
    const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${value}` };
    const host = "kms.eu-central-1.amazonaws.com";
    const signer = new SignatureV4({ service: "kms", region: "eu-central-1", credentials, sha256: Sha256, applyChecksum: false });
    const theirs = await signer.sign(
      { method: "POST", protocol: "https:", hostname: host, path: "/", headers: { host, ...headers }, body },
      { signingDate: new Date(NOW_MS) },
    );
    const ours = signedHeaders(
      { method: "POST", host, path: "/", headers, body },
      { region: "eu-central-1", service: "kms", credentials, nowMs: NOW_MS },
    );
    expect(ours.authorization).toBe(theirs.headers.authorization);
  });
  await fc.assert(property, { numRuns: 50 });
});

test("S3: names are escaped once, and headers and URLs are signed as AWS's own signer does", async () => {
  const name = fc.string({ unit: "grapheme", minLength: 1 });
  const property = fc.asyncProperty(name, name, fc.boolean(), async (key, value, isTemporary) => {
    const credentials = { ...CREDENTIALS, ...(isTemporary && { sessionToken: "token//x+y=" }) };
    const host = "bucket.s3.eu-central-1.amazonaws.com";
    const path = `/${encodeURIComponent(key).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)}`;
    const signer = new SignatureV4({
      service: "s3",
      region: "eu-central-1",
      credentials,
      sha256: Sha256,
      applyChecksum: false,
      uriEscapePath: false,
    });
    const headers = { "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-meta-text": "a  b" };
    const scope = { region: "eu-central-1", service: "s3", credentials, nowMs: NOW_MS };
    const request = { method: "PUT", protocol: "https:", hostname: host, path, query: { partNumber: "1", uploadId: value } };
    const ours = { method: "PUT", host, path, query: Object.entries(request.query), body: { digest: "UNSIGNED-PAYLOAD" } };
    const theirs = await signer.sign({ ...request, headers: { host, ...headers } }, { signingDate: new Date(NOW_MS) });
    expect(signedHeaders({ ...ours, headers }, scope).authorization).toBe(theirs.headers.authorization);
    const presigned = await signer.presign(
      { ...request, headers: { host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "content-md5": "x" } },
      { signingDate: new Date(NOW_MS), expiresIn: 900, signableHeaders: new Set(["content-md5"]) },
    );
    const moved = [...ours.query, ["x-amz-content-sha256", "UNSIGNED-PAYLOAD"] as const]; // their signer moves such headers to the query
    const query = new URLSearchParams(signedQuery({ ...ours, query: moved, headers: { "content-md5": "x" } }, scope, 900));
    expect(Object.fromEntries(query)).toEqual(presigned.query);
  });
  await fc.assert(property, { numRuns: 50 });
});

test("one credentials object signs as new ones do, whatever it signed before", async () => {
  const kept = { ...CREDENTIALS };
  const scopes = [
    { region: "eu-central-1", service: "kms", nowMs: NOW_MS },
    { region: "eu-central-1", service: "kms", nowMs: NOW_MS + 86_400_000 },
    { region: "us-east-1", service: "kms", nowMs: NOW_MS },
    { region: "us-east-1", service: "s3", nowMs: NOW_MS },
  ];
  for (const secretAccessKey of [kept.secretAccessKey, "another"]) {
    kept.secretAccessKey = secretAccessKey;
    for (const scope of [...scopes, ...scopes.toReversed()]) {
      const fresh = signedHeaders(GET, { ...scope, credentials: { ...kept } });
      expect(signedHeaders(GET, { ...scope, credentials: kept })).toEqual(fresh);
    }
  }
});
