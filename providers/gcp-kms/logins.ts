import { fromBase64 } from "../../src/core/base/base64.ts";
import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { textFieldOf } from "../http/fields.ts";
import { type HttpOptions, HttpService } from "../http/http-service.ts";
import { signedJwt } from "./jwt.ts";
import { checkedEmail, checkedSource, GcpLogin, type GcpTokenSource, type HeldToken, tokensOf } from "./login.ts";
import { exchangedToken, impersonatedToken, tokenFailure } from "./token-answers.ts";

export interface ServiceAccountKeyOptions {
  /** The file of the key as JSON text, as `gcloud iam service-accounts keys create` writes it. */
  readonly keyFile: string;
}

export interface ImpersonatedOptions {
  /** The email address of the service account to act as. */
  readonly serviceAccount: string;
  /** The caller's own identity. It needs the role Service Account Token Creator on that account, or on the first delegate. */
  readonly source: GcpTokenSource;
  /** Accounts in between, from the caller's end: each may act as the next, the last one as `serviceAccount`. */
  readonly delegates?: readonly string[];
  /** How long a token works, in seconds: 300 to 3600. Default 3600. */
  readonly lifetimeSeconds?: number;
}

/**
 * The service account that the machine, pod or function runs as, by the metadata server of Google Cloud at 169.254.169.254.
 *
 * @example
 * ```ts
 * import { gcpKmsKey, metadataServer } from "envelock/providers/gcp-kms";
 *
 * const name = "projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders";
 * const key = gcpKmsKey({ key: name, token: metadataServer() });
 * ```
 */
export function metadataServer(): GcpLogin {
  return new GcpLogin((http) => {
    const timeoutMs = Math.min(http.timeoutMs ?? METADATA_TIMEOUT_MS, METADATA_TIMEOUT_MS);
    const service = new HttpService(METADATA_ORIGIN, { ...http, timeoutMs }, [METADATA_HOST]);
    return async () => {
      const what = "the metadata server of google cloud";
      const headers = { "metadata-flavor": "Google" };
      const answer = await service.send({ method: "GET", path: METADATA_PATH, headers, what }, undefined);
      if (answer.status !== 200 || answer.header("metadata-flavor") !== "Google")
        throw tokenFailure(answer, what, "run on Google Cloud with a service account attached, or use another login");
      return exchangedToken(answer, what, clockOf(http).unixMs());
    };
  });
}

/**
 * A service account by the file of its key. The file says who is acting and with which private key; where the token comes from is settled
 * here: `https://oauth2.googleapis.com/token`.
 *
 * @throws `invalid-argument` for a file of another kind, or one that names another token endpoint
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { serviceAccountKey } from "envelock/providers/gcp-kms";
 *
 * export const loginWith = (path: string) => serviceAccountKey({ keyFile: readFileSync(path, "utf8") });
 * ```
 */
export function serviceAccountKey(options: ServiceAccountKeyOptions): GcpLogin {
  refuseUnknown(options, SERVICE_ACCOUNT_OPTIONS, "serviceAccountKey");
  const { email, keyId, pkcs8 } = serviceAccountIn(options.keyFile);
  return new GcpLogin((http, scope) => {
    const service = new HttpService(TOKEN_ORIGIN, http);
    const what = `the token endpoint for ${email}`;
    const asked = async (nowMs: number): ReturnType<HttpService["send"]> => {
      const issuedAt = Math.floor(nowMs / 1000);
      const claims = { iss: email, scope, aud: TOKEN_URL, iat: issuedAt, exp: issuedAt + ASSERTION_SECONDS };
      const assertion = await signedJwt(pkcs8, keyId === undefined ? {} : { kid: keyId }, claims);
      const body = new URLSearchParams({ grant_type: JWT_BEARER, assertion }).toString();
      const headers = { accept: "application/json", "content-type": "application/x-www-form-urlencoded" };
      return await service.send({ method: "POST", path: "/token", headers, body, what }, undefined);
    };
    return async () => {
      const nowMs = clockOf(http).unixMs();
      const first = await asked(nowMs);
      const { status, serverUnixMs = nowMs } = first;
      // once more by the service's clock, if it may not have believed this machine's
      const answer = status === 400 && Math.abs(serverUnixMs - nowMs) >= LEAST_SKEW_MS ? await asked(serverUnixMs) : first;
      if (answer.status !== 200) throw tokenFailure(answer, what, "check that the key was not deleted, and the machine's clock");
      return exchangedToken(answer, what, clockOf(http).unixMs());
    };
  });
}

/**
 * Another service account, such as a tenant's, that the caller's own identity may act as.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { impersonated, metadataServer } from "envelock/providers/gcp-kms";
 *
 * const token = impersonated({ source: metadataServer(), serviceAccount: "envelock@acme.iam.gserviceaccount.com" });
 * ```
 */
export function impersonated(options: ImpersonatedOptions): GcpLogin {
  refuseUnknown(options, IMPERSONATED_OPTIONS, "impersonated");
  const { lifetimeSeconds = LIFETIME_SECONDS } = options;
  const source = checkedSource(options.source);
  const serviceAccount = checkedEmail(options.serviceAccount, "serviceAccount");
  const delegates = [...(options.delegates ?? [])].map((email) => `${ACCOUNTS}${checkedEmail(email, "a delegate")}`);
  if (!(Number.isInteger(lifetimeSeconds) && lifetimeSeconds >= 300 && lifetimeSeconds <= LIFETIME_SECONDS))
    throw invalidArgument(`lifetimeSeconds is ${lifetimeSeconds}, expected 300 to ${LIFETIME_SECONDS}`);
  return new GcpLogin((http, scope) => {
    const service = new HttpService(CREDENTIALS_ORIGIN, http);
    const own = tokensOf(source, http, IAM_SCOPE);
    const body = JSON.stringify({ scope: [scope], lifetime: `${lifetimeSeconds}s`, ...(delegates.length > 0 && { delegates }) });
    const what = `the impersonation of ${serviceAccount}`;
    const ask = async ({ token }: HeldToken): ReturnType<HttpService["send"]> => {
      const headers = { accept: "application/json", "content-type": "application/json", authorization: `Bearer ${token}` };
      const path = `/v1/${ACCOUNTS}${encodeURIComponent(serviceAccount)}:generateAccessToken`;
      return await service.send({ method: "POST", path, headers, body, what }, undefined);
    };
    return async () => {
      const answer = await own.use(ask, ({ status }) => status === 401);
      if (answer.status !== 200)
        throw tokenFailure(answer, what, "grant roles/iam.serviceAccountTokenCreator on that account to the caller's own identity");
      return impersonatedToken(answer, what);
    };
  });
}

interface ServiceAccount {
  readonly email: string;
  readonly keyId: string | undefined;
  readonly pkcs8: Uint8Array<ArrayBuffer>;
}

/** Nothing in a file chooses a host: one that names another token endpoint is refused, because its key is not meant for this one. */
function serviceAccountIn(keyFile: unknown): ServiceAccount {
  const json = jsonIn(keyFile);
  if (textFieldOf(json, "type") !== "service_account")
    throw invalidArgument(
      "keyFile is the JSON text of a service account's key",
      "its type is service_account; other kinds have logins of their own",
    );
  const tokenUrl = textFieldOf(json, "token_uri") ?? TOKEN_URL;
  if (tokenUrl !== TOKEN_URL) throw invalidArgument(`the key file names another token endpoint than ${TOKEN_URL}, which is the one used`);
  const keyId = textFieldOf(json, "private_key_id");
  const [, body = ""] = PRIVATE_KEY.exec((textFieldOf(json, "private_key") ?? "").replaceAll("\r\n", "\n")) ?? [];
  const pkcs8 = fromBase64(body.replaceAll("\n", ""));
  if (pkcs8 === undefined || pkcs8.length === 0) throw invalidArgument("the key file holds no private key in PEM (PKCS#8)");
  return { email: checkedEmail(textFieldOf(json, "client_email"), "client_email of the key file"), keyId, pkcs8 };
}

function jsonIn(text: unknown): unknown {
  try {
    return typeof text === "string" ? JSON.parse(text) : undefined;
  } catch {
    return undefined; // the parser's message quotes the text
  }
}

function clockOf({ clock = systemClock }: HttpOptions): Clock {
  return clock;
}

const SERVICE_ACCOUNT_OPTIONS: OptionNames<ServiceAccountKeyOptions> = { keyFile: true };
const IMPERSONATED_OPTIONS: OptionNames<ImpersonatedOptions> = {
  serviceAccount: true,
  source: true,
  delegates: true,
  lifetimeSeconds: true,
};
/** What the impersonation itself asks of the caller's own token. */
const IAM_SCOPE = "https://www.googleapis.com/auth/iam";
/** The metadata server has no certificate; its address is link-local, and so never a host of the network. */
const METADATA_HOST = "169.254.169.254";
const METADATA_ORIGIN: string = `http://${METADATA_HOST}`;
const METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token";
const METADATA_TIMEOUT_MS = 3_000;
const TOKEN_ORIGIN = "https://oauth2.googleapis.com";
const TOKEN_URL: string = `${TOKEN_ORIGIN}/token`;
const CREDENTIALS_ORIGIN = "https://iamcredentials.googleapis.com";
const ACCOUNTS = "projects/-/serviceAccounts/";
const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const PRIVATE_KEY = /^-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PRIVATE KEY-----\n?$/;
const ASSERTION_SECONDS = 3600;
const LEAST_SKEW_MS = 60_000;
const LIFETIME_SECONDS = 3600;
