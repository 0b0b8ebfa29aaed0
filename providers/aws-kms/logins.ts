import { systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { signedHeaders } from "../../src/core/base/sigv4.ts";
import { given } from "../http/given.ts";
import { type HttpAnswer, HttpService } from "../http/http-service.ts";
import { answeredCredentials } from "./answered-credentials.ts";
import { checkedRoleArn, originOf } from "./arn.ts";
import {
  type AwsCredentialSource,
  type AwsCredentials,
  AwsLogin,
  checkedSource,
  credentialsOf,
  GIVER,
  type LoginPlace,
} from "./credentials.ts";
import { brokenAnswer, isSkewed, refusesCredentials, serviceFailure } from "./failures.ts";
import type { RoleTurns } from "./role-turns.ts";

interface RoleOptions {
  readonly roleArn: string;
  /** What the audit trail shows as the caller. 2 to 64 letters, digits and `=,.@-`. Default `envelock`. */
  readonly sessionName?: string;
  /** How long the credentials work, in seconds: 900 to 43,200. Default 3600. */
  readonly durationSeconds?: number;
  /** Another origin of the security token service than that of the key's region, such as a VPC endpoint's. */
  readonly endpoint?: string;
}

export interface AssumeRoleOptions extends RoleOptions {
  /** The credentials that ask for the role's. */
  readonly source: AwsCredentialSource;
  /** What the role's trust policy asks for, so that nobody makes this program use the role of another customer. */
  readonly externalId?: string;
}

export interface WebIdentityOptions extends RoleOptions {
  /** Gives the token of the identity provider. It is asked at each login, because such tokens are replaced. */
  readonly token: () => Promise<string>;
}

/**
 * Credentials of a role, asked for with other credentials: for a key in another account.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { assumeRole, awsKmsKey, instanceCredentials } from "envelock/providers/aws-kms";
 *
 * const keyArn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
 * const roleArn = "arn:aws:iam::111122223333:role/orders";
 * const credentials = assumeRole({ roleArn, externalId: "acme-7", source: instanceCredentials() });
 * const key = awsKmsKey({ keyArn, credentials });
 * ```
 */
export function assumeRole(options: AssumeRoleOptions): AwsLogin {
  return roleLogin(options, undefined);
}

/** Makes the login of `assumeRole`, which waits for its turn among others before it asks. @throws `invalid-argument` */
export function roleLogin(options: AssumeRoleOptions, turns: RoleTurns | undefined): AwsLogin {
  refuseUnknown(options, { ...ROLE_OPTIONS, source: true, externalId: true } satisfies OptionNames<AssumeRoleOptions>, "assumeRole");
  const source = checkedSource(options.source);
  const { externalId, endpoint } = options;
  if (externalId !== undefined && !(typeof externalId === "string" && EXTERNAL_ID.test(externalId)))
    throw invalidArgument("externalId has 2 to 1224 letters, digits and =,.@:/-");
  const fields = { ...roleFields(options), ...(externalId !== undefined && { ExternalId: externalId }) };
  return new AwsLogin(async (place) => {
    const ask = (credentials: AwsCredentials): Promise<HttpAnswer> => answer("AssumeRole", fields, { endpoint, place, credentials });
    await turns?.take(place.http.clock ?? systemClock);
    return roleCredentials(await credentialsOf(source, place).use(ask, refusesCredentials), "AssumeRole", fields.RoleArn);
  }, endpoint === undefined);
}

/**
 * Credentials of a role for the token of an identity provider: a Kubernetes service account, a CI job, another cloud.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { webIdentity } from "envelock/providers/aws-kms";
 *
 * const path = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
 * const roleArn = "arn:aws:iam::111122223333:role/orders";
 * const credentials = webIdentity({ roleArn, token: () => readFile(path, "utf8") });
 * ```
 */
export function webIdentity(options: WebIdentityOptions): AwsLogin {
  refuseUnknown(options, { ...ROLE_OPTIONS, token: true } satisfies OptionNames<WebIdentityOptions>, "webIdentity");
  const { token, endpoint } = options;
  if (typeof token !== "function") throw invalidArgument("a web identity needs a function token");
  const fields = roleFields(options);
  return new AwsLogin(async (place) => {
    const proof = await given(GIVER, place.http, token);
    if (typeof proof !== "string" || proof === "")
      throw new EnvelockError("access-denied", "the function that gives the web identity's token gave none", { detail: "credential" });
    const shown = { ...fields, WebIdentityToken: proof.trim() };
    return roleCredentials(await answer(WEB_IDENTITY, shown, { endpoint, place }), WEB_IDENTITY, fields.RoleArn);
  }, endpoint === undefined);
}

interface StsCall {
  readonly endpoint: string | undefined;
  readonly place: LoginPlace;
  /** What signs; a web identity needs no signature. */
  readonly credentials?: AwsCredentials;
}

interface RoleFields {
  readonly RoleArn: string;
  readonly RoleSessionName: string;
  readonly DurationSeconds: string;
  readonly ExternalId?: string;
  readonly WebIdentityToken?: string;
}

type StsOperation = "AssumeRole" | "AssumeRoleWithWebIdentity";

async function answer(
  operation: StsOperation,
  fields: RoleFields,
  { endpoint, place: { key, traits, http }, credentials }: StsCall,
): Promise<HttpAnswer> {
  const service = new HttpService(endpoint ?? originOf("sts", key, traits), http);
  const body = new URLSearchParams({ Action: operation, Version: "2011-06-15", ...fields }).toString();
  const plain = { "content-type": "application/x-www-form-urlencoded" };
  const request = { method: "POST", path: "/", host: new URL(service.origin).host, headers: plain, body } as const;
  const send = async (nowMs: number): Promise<HttpAnswer> => {
    const scope = { region: key.region, service: "sts", nowMs };
    const headers = credentials === undefined ? plain : signedHeaders(request, { ...scope, credentials });
    const what = `aws ${operation} with ${fields.RoleArn}`;
    return withJson(await service.send({ method: "POST", path: "/", headers, body, what }, undefined));
  };
  const first = await send((http.clock ?? systemClock).unixMs());
  // once more by the service's clock, if it did not believe this machine's
  return isSkewed(first) && first.serverUnixMs !== undefined ? await send(first.serverUnixMs) : first;
}

function roleCredentials(answer: HttpAnswer, operation: StsOperation, role: string): AwsCredentials {
  if (answer.status !== 200) throw serviceFailure(answer, operation, role);
  const found = answeredCredentials(answer.json, "SessionToken");
  if (found === undefined) throw brokenAnswer(operation, role, "holds no credentials");
  return found;
}

/** The texts of the innermost elements as JSON of the key service, in which `__type` has the name of an error. */
function withJson(whole: HttpAnswer): HttpAnswer {
  if (whole.json !== undefined) return whole;
  const elements = [...whole.text.matchAll(/<(\w{1,40})>([^<>]*)<\/\1>/g)].map(([, name = "", value = ""]) => [name, value] as const);
  const fields: Readonly<Partial<Record<string, string>>> = Object.fromEntries(elements);
  const { Code: type } = fields;
  return { ...whole, json: { ...fields, __type: type } };
}

function roleFields({ roleArn, sessionName = "envelock", durationSeconds = 3600 }: RoleOptions): RoleFields {
  if (typeof sessionName !== "string" || !/^[\w+=,.@-]{2,64}$/.test(sessionName))
    throw invalidArgument("sessionName has 2 to 64 letters, digits and =,.@-");
  if (!(Number.isInteger(durationSeconds) && durationSeconds >= 900 && durationSeconds <= 43_200))
    throw invalidArgument(`durationSeconds is ${durationSeconds}, expected 900 to 43,200`);
  return { RoleArn: checkedRoleArn(roleArn), RoleSessionName: sessionName, DurationSeconds: `${durationSeconds}` };
}

const ROLE_OPTIONS: OptionNames<RoleOptions> = { roleArn: true, sessionName: true, durationSeconds: true, endpoint: true };
const WEB_IDENTITY = "AssumeRoleWithWebIdentity";
const EXTERNAL_ID = /^[\w+=,.@:/-]{2,1224}$/;
