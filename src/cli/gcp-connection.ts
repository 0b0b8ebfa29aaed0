import { readFile } from "node:fs/promises";
import {
  type GcpConnectionOptions,
  type GcpKmsKeyOptions,
  type GcpTokenSource,
  impersonated,
  metadataServer,
  serviceAccountKey,
} from "../../providers/gcp-kms/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { httpsFetch } from "../core/base/https-fetch.ts";
import { environmentFile, environmentVariable } from "./environment.ts";
import { usageError } from "./failure.ts";

/**
 * How to reach the key that `gcp-kms:<name>` names. Credentials, endpoint and authority come from the variables that `gcloud` reads too;
 * its configurations are not read.
 *
 * @param key what follows `gcp-kms:`
 * @throws `invalid-argument`
 */
export async function gcpKeyOptions(key: string): Promise<GcpKmsKeyOptions> {
  if (!/^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/.test(key)) {
    throw usageError(
      `"gcp-kms:${key}" names no key`,
      key.includes("/cryptoKeyVersions/")
        ? "leave the version out: the primary version wraps, and the service finds the one that unwraps"
        : "name it in full, such as gcp-kms:projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders",
    );
  }
  return { key, ...(await gcpConnection()) };
}

/** Credentials, endpoint and authority of the environment, for Cloud KMS. */
export async function gcpConnection(): Promise<GcpConnectionOptions> {
  const endpoint = environmentVariable("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS");
  return { ...(await googleConnection()), ...(endpoint !== undefined && { endpoint: endpoint.replace(/\/$/, "") }) };
}

/** Credentials and authority of the environment, for any service of Google's. */
export async function googleConnection(): Promise<{ readonly token: GcpTokenSource; readonly fetch?: ReturnType<typeof httpsFetch> }> {
  const authority = await environmentFile("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE");
  return { token: await tokenSource(), ...(authority !== undefined && { fetch: httpsFetch({ ca: authority }) }) };
}

async function tokenSource(): Promise<GcpTokenSource> {
  const source = await ownSource();
  const [serviceAccount, ...delegates] = (environmentVariable("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT") ?? "")
    .split(",")
    .filter((email) => email !== "")
    .reverse(); // the last one is the account to act as
  return serviceAccount === undefined ? source : impersonated({ source, serviceAccount, delegates: delegates.reverse() });
}

/** Tries a token in a file, a key of a service account, and the metadata server, in this order. */
async function ownSource(): Promise<GcpTokenSource> {
  const tokenFile = environmentVariable("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE");
  if (tokenFile !== undefined) return async () => ({ token: await tokenIn(tokenFile) });
  for (const name of ["CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "GOOGLE_APPLICATION_CREDENTIALS"]) {
    const keyFile = await environmentFile(name);
    if (keyFile !== undefined) return loginWith(keyFile, name);
  }
  if (environmentVariable("METADATA_SERVER_DETECTION")?.toLowerCase() === "none") return noCredentials;
  return metadataServer();
}

async function tokenIn(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new EnvelockError("access-denied", `the file that CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names cannot be read: ${file}`, {
      detail: "credential",
      hint: NEXT_STEP,
      cause,
    });
  }
}

function loginWith(keyFile: string, name: string): GcpTokenSource {
  try {
    return serviceAccountKey({ keyFile });
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    throw new EnvelockError(error.code, `the file that ${name} names is no key of a service account: ${error.message}`, {
      hint: `keys of service accounts alone are read; for your own account, ${NEXT_STEP}`,
    });
  }
}

async function noCredentials(): Promise<never> {
  throw new EnvelockError("access-denied", "there are no credentials for Google Cloud", { detail: "credential", hint: NEXT_STEP });
}

const NEXT_STEP =
  "write a token into a file that CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names: gcloud auth print-access-token > token; on Google Cloud attach a service account";
