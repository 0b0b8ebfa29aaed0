import type { AwsConnectionOptions } from "../../../providers/aws-kms/index.ts";
import { credentialsOf } from "../../../providers/aws-kms/login/index.ts";
import { type S3Credentials, type S3Mode, s3Blobs } from "../../blobs/s3/index.ts";
import { awsConnection, awsEndpoint } from "../aws-connection.ts";
import { environmentVariable } from "../environment.ts";
import { usageError } from "../failure.ts";
import { s3BucketUrl, s3EndpointTraits, s3Partition } from "./s3-endpoint.ts";
import type { StoreKind, StoreOptions } from "./store-kind.ts";

/** Amazon S3, and services that speak its protocol. Variables have the names that AWS's own command reads. */
export const s3Places: StoreKind = {
  scheme: "s3",
  shape: "s3://<bucket>/<name>",
  storeShape: "s3://<bucket>",
  split(path) {
    const [, container, name = ""] = /^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(path) ?? [];
    return container === undefined ? undefined : { container, name };
  },
  async open(bucket, options) {
    const region = environmentVariable("AWS_REGION") ?? environmentVariable("AWS_DEFAULT_REGION");
    if (region === undefined) throw usageError("nothing says in which region the bucket is", "set AWS_REGION; R2 takes auto");
    const endpoint = (options.endpoint ?? awsEndpoint("S3"))?.replace(/\/$/, "");
    const traits = s3EndpointTraits(endpoint);
    const mode = modeOf(options, endpoint);
    const url = endpoint === undefined ? s3BucketUrl(bucket, region, traits) : `${endpoint}/${bucket}`;
    const connection = await awsConnection();
    const { fetch } = connection;
    return s3Blobs({ url, region, credentials: credentialsIn(region, connection), ...(fetch && { fetch }) }, { mode });
  },
};

/** At AWS's own hosts the service is known. Elsewhere nothing is guessed: services ignore conditions that they do not know. */
function modeOf({ s3Mode }: StoreOptions, endpoint: string | undefined): S3Mode {
  const mode = s3Mode ?? environmentVariable("ENVELOCK_S3_MODE") ?? (endpoint === undefined ? "aws" : undefined);
  if (mode === "aws" || mode === "r2" || mode === "minio") return mode;
  throw usageError(
    "the endpoint does not say which service it is",
    "--s3-mode is aws, r2 or minio: what keeps its promises about conditions",
  );
}

/** The credentials of the environment. Those that end are fetched again before they do. */
function credentialsIn(
  region: string,
  { credentials: source, fetch, fips = false, dualStack = false }: AwsConnectionOptions,
): S3Credentials | (() => Promise<S3Credentials>) {
  if ("accessKeyId" in source) return source;
  const partition = s3Partition(region);
  const known = partition === "aws-cn" || partition === "aws-us-gov" ? partition : "aws";
  const place = { key: { partition: known, region }, traits: { fips, dualStack }, http: fetch === undefined ? {} : { fetch } } as const;
  const held = credentialsOf(source, place);
  return async () => await held.get();
}
