import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { textFieldOf } from "../http/fields.ts";
import type { HttpOptions } from "../http/http-service.ts";
import type { EndpointTraits, KeyArn } from "./arn.ts";

/** What signs requests: the shape that AWS's own credential packages give. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string | undefined;
  /** When they end. Left out for those that do not end by themselves. */
  readonly expiration?: Date | undefined;
}

/**
 * Where credentials come from: the credentials themselves, a function that gives them whenever it is asked, such as one of
 * `@aws-sdk/credential-providers`, or a login that the provider performs and repeats ({@link assumeRole}, {@link webIdentity},
 * {@link containerCredentials}, {@link instanceCredentials}).
 */
export type AwsCredentialSource = AwsCredentials | (() => Promise<AwsCredentials>) | AwsLogin;

/** Where a login is made: the key's region, and how the key's service is reached. */
export interface LoginPlace {
  readonly key: KeyArn;
  readonly traits: EndpointTraits;
  readonly http: HttpOptions;
}

/** A login that the provider performs and repeats before its credentials end. Make one with {@link assumeRole} and its like. */
export class AwsLogin {
  readonly #load: (place: LoginPlace) => Promise<AwsCredentials>;

  constructor(load: (place: LoginPlace) => Promise<AwsCredentials>) {
    this.#load = load;
  }

  async credentials(place: LoginPlace): Promise<AwsCredentials> {
    return await this.#load(place);
  }
}

/** Fetches credentials anew. @throws `access-denied`, and what a login throws */
export async function loadedFrom(source: AwsCredentialSource, place: LoginPlace): Promise<AwsCredentials> {
  if (source instanceof AwsLogin) return await source.credentials(place);
  if (typeof source !== "function") return source;
  const given = await asked(source);
  if (areCredentials(given)) return given;
  throw new EnvelockError("access-denied", "the function that gives AWS credentials gave none", {
    detail: "credential",
    hint: "it must resolve to { accessKeyId, secretAccessKey, sessionToken?, expiration? }",
  });
}

/** @throws `invalid-argument` */
export function checkedSource(source: AwsCredentialSource): AwsCredentialSource {
  if (source instanceof AwsLogin || typeof source === "function") return source;
  if (areCredentials(source)) return { ...source };
  throw invalidArgument("credentials are { accessKeyId, secretAccessKey, sessionToken? }, a function that gives them, or a login");
}

/** Asks a function of the caller's. @throws `access-denied` with what the function threw as its cause */
export async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof EnvelockError) throw cause;
    throw new EnvelockError("access-denied", "the function that gives the AWS credential failed", { detail: "credential", cause });
  }
}

/** Credentials of a service's answer; undefined if it holds none. @param tokenName the member that has the session token */
export function credentialsIn(answer: unknown, tokenName: "Token" | "SessionToken"): AwsCredentials | undefined {
  const expiration = textFieldOf(answer, "Expiration");
  const found = {
    accessKeyId: textFieldOf(answer, "AccessKeyId") ?? "",
    secretAccessKey: textFieldOf(answer, "SecretAccessKey") ?? "",
    sessionToken: textFieldOf(answer, tokenName) ?? "",
    ...(expiration !== undefined && { expiration: new Date(expiration) }),
  };
  return areCredentials(found) ? found : undefined;
}

/** When credentials end, in Unix milliseconds. */
export function endOf({ expiration }: AwsCredentials): number | undefined {
  return expiration?.getTime();
}

export function areSame(one: AwsCredentials, other: AwsCredentials): boolean {
  return one.accessKeyId === other.accessKeyId && one.secretAccessKey === other.secretAccessKey && one.sessionToken === other.sessionToken;
}

function areCredentials(value: AwsCredentials | undefined): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = value;
  return (
    isHeaderText(accessKeyId) &&
    isHeaderText(secretAccessKey) &&
    (sessionToken === undefined || isHeaderText(sessionToken)) &&
    (expiration === undefined || (expiration instanceof Date && !Number.isNaN(expiration.getTime())))
  );
}

/** What may stand in a header. */
function isHeaderText(value: unknown): boolean {
  return typeof value === "string" && /^[\x21-\x7e]{1,16384}$/.test(value);
}
