import { describe, expect, test } from "vitest";
import { s3BucketUrl } from "../../src/cli/places/s3-endpoint.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { s3Sdk } from "../support/s3.ts";

// The URLs of buckets, as the endpoint rules of AWS's own client have them.

const { s3, presigner } = s3Sdk();
const TRAITS = [
  { fips: false, dualStack: false },
  { fips: true, dualStack: false },
  { fips: false, dualStack: true },
  { fips: true, dualStack: true },
];

async function sdkUrl(Bucket: string, region: string, fips: boolean, dualStack: boolean): Promise<string> {
  const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "secret" };
  const client = new s3.S3Client({ region, credentials, useFipsEndpoint: fips, useDualstackEndpoint: dualStack });
  const { origin, pathname } = new URL(await presigner.getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key: "x" })));
  return `${origin}${pathname}`;
}

function ownUrl(bucket: string, region: string, fips: boolean, dualStack: boolean): string {
  try {
    return `${s3BucketUrl(bucket, region, { fips, dualStack })}/x`;
  } catch (error) {
    if (EnvelockError.is(error) && error.code === "invalid-argument") return "refused";
    throw error;
  }
}

describe.each(TRAITS)("fips $fips, dual stack $dualStack", ({ fips, dualStack }) => {
  test.each([
    "us-east-1",
    "eu-central-1",
    "ap-southeast-7",
    "us-gov-west-1",
    "cn-north-1",
    "eusc-de-east-1",
    "mx-central-1",
  ])("%s", async (region) => {
    for (const bucket of ["acme-invoices", "acme.invoices"]) {
      const own = ownUrl(bucket, region, fips, dualStack);
      expect(own).toBe(await sdkUrl(bucket, region, fips, dualStack).catch(() => "refused"));
    }
  });
});

test("what has no endpoint that is known here is refused", () => {
  for (const region of ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "auto", "aws-global", "eu central-1", ""])
    expect(ownUrl("acme-invoices", region, false, false)).toBe("refused");
  expect(ownUrl("acme--usw2-az1--x-s3", "us-west-2", false, false)).toBe("refused"); // a directory bucket
});
