import { readFile } from "node:fs/promises";
import {
  type AwsConnectionOptions,
  type AwsCredentialSource,
  type AwsKmsKeyOptions,
  containerCredentials,
  instanceCredentials,
  webIdentity,
} from "../../providers/aws-kms/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { type HttpsFetch, httpsFetch } from "../core/base/https-fetch.ts";
import { environmentFile, environmentVariable } from "./environment.ts";
import { usageError } from "./failure.ts";

/**
 * How to reach the key that `aws-kms:<arn>` names. Credentials, endpoints and authority come from the variables that AWS's own command
 * reads too; profiles are not read.
 *
 * @param keyArn what follows `aws-kms:`
 * @throws `invalid-argument`
 */
export async function awsKeyOptions(keyArn: string): Promise<AwsKmsKeyOptions> {
  if (!/^arn:[a-z-]+:kms:/.test(keyArn)) {
    throw usageError(
      `"aws-kms:${keyArn}" names no key`,
      "name it by its ARN, such as aws-kms:arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    );
  }
  return { keyArn, ...(await awsConnection()) };
}

/** Credentials and endpoint of the environment. */
export async function awsConnection(): Promise<AwsConnectionOptions & { readonly fetch?: HttpsFetch }> {
  const endpoint = awsEndpoint("KMS");
  const fetch = await awsFetch();
  return {
    credentials: credentialsOfEnvironment(),
    fips: environmentSwitch("AWS_USE_FIPS_ENDPOINT"),
    dualStack: environmentSwitch("AWS_USE_DUALSTACK_ENDPOINT"),
    ...(endpoint !== undefined && { endpoint }),
    ...(fetch !== undefined && { fetch }),
  };
}

/** Returns the endpoint of a service that the environment names, without a slash at its end. Undefined for AWS's own. */
export function awsEndpoint(service: "KMS" | "S3" | "STS"): string | undefined {
  if (environmentSwitch("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) return undefined;
  return (environmentVariable(`AWS_ENDPOINT_URL_${service}`) ?? environmentVariable("AWS_ENDPOINT_URL"))?.replace(/\/$/, "");
}

/** Reads a variable that is `true` or `false`, and false where it is not set. @throws `invalid-argument` for anything else */
export function environmentSwitch(name: string): boolean {
  const value = environmentVariable(name);
  const text = value?.toLowerCase() ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw usageError(`${name} is "${value}", expected true or false`, `set it to one of them, or unset it`);
}

/** Makes a `fetch` that trusts the authorities of AWS_CA_BUNDLE. Undefined where it is not set. */
async function awsFetch(): Promise<HttpsFetch | undefined> {
  const authority = await environmentFile("AWS_CA_BUNDLE");
  return authority === undefined ? undefined : httpsFetch({ ca: authority });
}

/** The endpoint of the security token service, if the environment names one. @throws `invalid-argument` for its old, global endpoint */
export function stsEndpoint(): string | undefined {
  const regional = environmentVariable("AWS_STS_REGIONAL_ENDPOINTS");
  if (regional !== undefined && regional !== "regional")
    throw usageError(
      `AWS_STS_REGIONAL_ENDPOINTS is "${regional}", and the endpoints of regions alone are called`,
      "set it to regional, or name another endpoint in AWS_ENDPOINT_URL_STS",
    );
  return awsEndpoint("STS");
}

/** In the order of AWS's own tools: variables, a web identity, a container, an instance. */
function credentialsOfEnvironment(): AwsCredentialSource {
  const accessKeyId = environmentVariable("AWS_ACCESS_KEY_ID");
  const secretAccessKey = environmentVariable("AWS_SECRET_ACCESS_KEY");
  const sessionToken = environmentVariable("AWS_SESSION_TOKEN");
  if (accessKeyId !== undefined && secretAccessKey !== undefined)
    return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
  const roleArn = environmentVariable("AWS_ROLE_ARN");
  const tokenFile = environmentVariable("AWS_WEB_IDENTITY_TOKEN_FILE");
  const endpoint = stsEndpoint();
  if (roleArn !== undefined && tokenFile !== undefined)
    return webIdentity({
      roleArn,
      token: () => readFile(tokenFile, "utf8"),
      ...(endpoint !== undefined && { endpoint }),
    });
  const profile = environmentVariable("AWS_PROFILE");
  if (profile !== undefined) return () => unreadProfile(profile);
  const uri = environmentVariable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ?? environmentVariable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (uri !== undefined) {
    const authorization = containerAuthorization();
    return containerCredentials({ uri, ...(authorization !== undefined && { authorization }) });
  }
  if (environmentVariable("AWS_EC2_METADATA_DISABLED")?.toLowerCase() === "true") return noCredentials;
  const metadata = environmentVariable("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? metadataEndpoint();
  return instanceCredentials(metadata === undefined ? {} : { endpoint: metadata.replace(/\/$/, "") });
}

/** The address of the instance's metadata service by IPv6, if the environment asks for it. */
function metadataEndpoint(): string | undefined {
  const mode = environmentVariable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")?.toLowerCase() ?? "ipv4";
  if (mode === "ipv4") return undefined;
  if (mode === "ipv6") return "http://[fd00:ec2::254]";
  throw usageError(`AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is "${mode}", expected IPv4 or IPv6`, "set it, or unset it");
}

function containerAuthorization(): (() => Promise<string>) | undefined {
  const file = environmentVariable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  if (file !== undefined) return () => readFile(file, "utf8");
  const token = environmentVariable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  return token === undefined ? undefined : async () => token;
}

/** Another identity than that of the profile would be a surprise. */
async function unreadProfile(profile: string): Promise<never> {
  throw new EnvelockError("access-denied", `AWS_PROFILE names the profile ${profile}, and profiles are not read`, {
    detail: "credential",
    hint: 'bring its credentials in: eval "$(aws configure export-credentials --format env)"; or unset AWS_PROFILE',
  });
}

async function noCredentials(): Promise<never> {
  throw new EnvelockError("access-denied", "there are no credentials for AWS", {
    detail: "credential",
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: eval "$(aws configure export-credentials --format env)"',
  });
}
