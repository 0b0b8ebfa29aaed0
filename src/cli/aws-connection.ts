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
import { httpsFetch } from "../core/base/https-fetch.ts";
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
export async function awsConnection(): Promise<AwsConnectionOptions> {
  const endpoint = environmentVariable("AWS_ENDPOINT_URL_KMS") ?? environmentVariable("AWS_ENDPOINT_URL");
  const authority = await environmentFile("AWS_CA_BUNDLE");
  return {
    credentials: credentialsOfEnvironment(),
    fips: environmentVariable("AWS_USE_FIPS_ENDPOINT") === "true",
    dualStack: environmentVariable("AWS_USE_DUALSTACK_ENDPOINT") === "true",
    ...(endpoint !== undefined && { endpoint: endpoint.replace(/\/$/, "") }),
    ...(authority !== undefined && { fetch: httpsFetch({ ca: authority }) }),
  };
}

/** The endpoint of the security token service, if the environment names one. */
export function stsEndpoint(): string | undefined {
  return (environmentVariable("AWS_ENDPOINT_URL_STS") ?? environmentVariable("AWS_ENDPOINT_URL"))?.replace(/\/$/, "");
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
  const uri = environmentVariable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ?? environmentVariable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (uri !== undefined) {
    const authorization = containerAuthorization();
    return containerCredentials({ uri, ...(authorization !== undefined && { authorization }) });
  }
  if (environmentVariable("AWS_EC2_METADATA_DISABLED")?.toLowerCase() === "true") return noCredentials;
  const metadata = environmentVariable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  return instanceCredentials(metadata === undefined ? {} : { endpoint: metadata.replace(/\/$/, "") });
}

function containerAuthorization(): (() => Promise<string>) | undefined {
  const file = environmentVariable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  if (file !== undefined) return () => readFile(file, "utf8");
  const token = environmentVariable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  return token === undefined ? undefined : async () => token;
}

async function noCredentials(): Promise<never> {
  throw new EnvelockError("access-denied", "there are no credentials for AWS", {
    detail: "credential",
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: eval "$(aws configure export-credentials --format env)"',
  });
}
