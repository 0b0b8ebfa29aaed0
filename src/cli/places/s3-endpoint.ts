import { environmentSwitch } from "../aws-connection.ts";
import { environmentVariable } from "../environment.ts";
import { usageError } from "../failure.ts";

/** Which of a region's endpoints of S3 is called. */
export interface S3EndpointTraits {
  readonly fips: boolean;
  readonly dualStack: boolean;
}

/** The part of AWS that a region belongs to. */
export type S3Partition = "aws" | "aws-cn" | "aws-us-gov" | "aws-eusc";

/**
 * Reads which endpoints the environment asks for.
 *
 * @param endpoint another endpoint than AWS's own, which excludes both
 * @throws `invalid-argument` for what is not done: the old endpoint of us-east-1, and either kind together with an endpoint
 */
export function s3EndpointTraits(endpoint: string | undefined): S3EndpointTraits {
  const asked = {
    AWS_USE_FIPS_ENDPOINT: environmentSwitch("AWS_USE_FIPS_ENDPOINT"),
    AWS_USE_DUALSTACK_ENDPOINT: environmentSwitch("AWS_USE_DUALSTACK_ENDPOINT"),
  };
  for (const [name, isAsked] of Object.entries(asked))
    if (isAsked && endpoint !== undefined)
      throw usageError(
        `${name} asks for another endpoint of S3 than the one that is named`,
        `unset ${name} for this command; or unset AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL, and leave out --endpoint`,
      );
  const usEast = environmentVariable("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT");
  if (usEast !== undefined && usEast !== "regional")
    throw usageError(
      `AWS_S3_US_EAST_1_REGIONAL_ENDPOINT is "${usEast}", and s3:// calls the endpoints of regions alone`,
      "set it to regional, or name another endpoint with --endpoint",
    );
  return { fips: asked.AWS_USE_FIPS_ENDPOINT, dualStack: asked.AWS_USE_DUALSTACK_ENDPOINT };
}

/**
 * Makes the URL of a bucket at AWS's own endpoints, by the rules of its endpoints.
 *
 * @throws `invalid-argument` for a region without such an endpoint, and for a directory bucket
 */
export function s3BucketUrl(bucket: string, region: string, { fips, dualStack }: S3EndpointTraits): string {
  if (bucket.endsWith("--x-s3"))
    throw usageError(
      `${bucket} is a directory bucket, which lists its objects in no order and has endpoints of its own`,
      "keep blobs in a general purpose bucket",
    );
  const partition = s3Partition(region);
  if (partition === undefined)
    throw usageError(`the endpoint of S3 in the region ${region} is not known`, "name it with --endpoint, and --s3-mode aws");
  if (fips && partition === "aws-cn")
    throw usageError("AWS has no FIPS endpoints of S3 in China", "unset AWS_USE_FIPS_ENDPOINT for this command");
  const host = `s3${fips ? "-fips" : ""}${dualStack ? ".dualstack" : ""}.${region}.${SUFFIXES[partition]}`;
  return bucket.includes(".") ? `https://${host}/${bucket}` : `https://${bucket}.${host}`; // no certificate fits a name with a dot
}

/** Finds the partition of a region. Undefined for one whose endpoints are not known. */
export function s3Partition(region: string): S3Partition | undefined {
  if (/^cn-[a-z]+-\d+$/.test(region)) return "aws-cn";
  if (/^us-gov-[a-z]+-\d+$/.test(region)) return "aws-us-gov";
  if (/^eusc-[a-z]{2}-[a-z]+-\d+$/.test(region)) return "aws-eusc";
  return /^[a-z]{2}-[a-z]{4,}-\d+$/.test(region) && !/-iso[a-z]?-/.test(region) ? "aws" : undefined;
}

const SUFFIXES: Readonly<Record<S3Partition, string>> = {
  aws: "amazonaws.com",
  "aws-cn": "amazonaws.com.cn",
  "aws-us-gov": "amazonaws.com",
  "aws-eusc": "amazonaws.eu",
};
