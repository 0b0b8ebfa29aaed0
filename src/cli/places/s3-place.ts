import { credentialsOf } from "../../../providers/aws-kms/login/index.ts";
import { type S3Credentials, type S3Mode, s3Blobs } from "../../blobs/s3/index.ts";
import { awsConnection } from "../aws-connection.ts";
import { environmentVariable } from "../environment.ts";
import { usageError } from "../failure.ts";
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
    if (environmentVariable("AWS_USE_FIPS_ENDPOINT")?.toLowerCase() === "true")
      throw usageError(
        "s3:// uses no FIPS endpoint, and AWS_USE_FIPS_ENDPOINT asks for one",
        "unset it for this command, or use the library with a URL of s3-fips",
      );
    const endpoint = options.endpoint ?? environmentVariable("AWS_ENDPOINT_URL_S3") ?? environmentVariable("AWS_ENDPOINT_URL");
    const mode = modeOf(options, endpoint);
    const url = endpoint === undefined ? ownUrl(bucket, region) : `${endpoint.replace(/\/$/, "")}/${bucket}`;
    return s3Blobs({ url, region, credentials: await credentialsIn(region) }, { mode });
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

function ownUrl(bucket: string, region: string): string {
  const host = `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
  return bucket.includes(".") ? `https://${host}/${bucket}` : `https://${bucket}.${host}`; // no certificate fits a name with a dot
}

/** The credentials of the environment. Those that end are fetched again before they do. */
async function credentialsIn(region: string): Promise<S3Credentials | (() => Promise<S3Credentials>)> {
  const { credentials: source, fetch, fips = false, dualStack = false } = await awsConnection();
  if ("accessKeyId" in source) return source;
  const partition = region.startsWith("cn-") ? "aws-cn" : region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
  const place = { key: { partition, region }, traits: { fips, dualStack }, http: fetch === undefined ? {} : { fetch } } as const;
  const held = credentialsOf(source, place);
  return async () => await held.get();
}
