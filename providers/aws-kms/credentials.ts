import { systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { Expiring } from "../http/expiring.ts";
import { given } from "../http/given.ts";
import type { HttpOptions } from "../http/http-service.ts";
import { SharedCredentials } from "../http/shared.ts";
import type { EndpointTraits, KeyArn } from "./arn.ts";

/** What signs requests: the shape that AWS's own credential packages give. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The token of temporary credentials. */
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
  readonly key: Pick<KeyArn, "partition" | "region">;
  readonly traits: EndpointTraits;
  readonly http: HttpOptions;
}

/** A login that the provider performs and repeats before its credentials end. Make one with {@link assumeRole} and its like. */
export class AwsLogin {
  readonly load: (place: LoginPlace) => Promise<AwsCredentials>;
  /** Whether each region has a login of its own, at its own security token service. */
  readonly isRegional: boolean;

  constructor(load: (place: LoginPlace) => Promise<AwsCredentials>, isRegional = false) {
    this.load = load;
    this.isRegional = isRegional;
  }
}

/** Returns the credentials of a checked source. All connections over the same `fetch` and clock share them. */
export function credentialsOf(source: AwsCredentialSource, place: LoginPlace): Expiring<AwsCredentials> {
  const { key, traits, http } = place;
  const name = source instanceof AwsLogin && source.isRegional ? JSON.stringify([key.partition, key.region, traits]) : "";
  return SHARED.of(source, http, name, () => {
    const load = (): Promise<AwsCredentials> => loadedFrom(source, place);
    return new Expiring({ clock: http.clock ?? systemClock, load, expiresAtMs: endOf, secretOf, aheadMs: AHEAD_MS });
  });
}

/** Fetches credentials anew. @throws `access-denied`, and what a login throws */
async function loadedFrom(source: AwsCredentialSource, place: LoginPlace): Promise<AwsCredentials> {
  if (source instanceof AwsLogin) return await source.load(place);
  if (typeof source !== "function") return source;
  const found = await given(GIVER, place.http, async () => credentialsIn(await source()));
  if (found !== undefined) return found;
  throw new EnvelockError("access-denied", "the function that gives AWS credentials gave none", {
    detail: "credential",
    hint: "it must resolve to { accessKeyId, secretAccessKey, sessionToken?, expiration? }",
  });
}

/** @throws `invalid-argument` */
export function checkedSource(source: AwsCredentialSource): AwsCredentialSource {
  if (source instanceof AwsLogin || typeof source === "function") return source;
  const found = credentialsIn(source);
  if (found !== undefined) return found;
  throw invalidArgument("credentials are { accessKeyId, secretAccessKey, sessionToken? }, a function that gives them, or a login");
}

/** When credentials end, in Unix milliseconds. */
export function endOf({ expiration }: AwsCredentials): number | undefined {
  return expiration?.getTime();
}

function secretOf({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials): string {
  return JSON.stringify([accessKeyId, secretAccessKey, sessionToken]);
}

/** Copies credentials, which their giver may change in place; undefined for a value that holds none. */
export function credentialsIn(value: AwsCredentials | undefined): AwsCredentials | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = value;
  const isWhole =
    isHeaderText(accessKeyId) &&
    isHeaderText(secretAccessKey) &&
    (sessionToken === undefined || isHeaderText(sessionToken)) &&
    (expiration === undefined || (expiration instanceof Date && !Number.isNaN(expiration.getTime())));
  if (!isWhole) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration && new Date(expiration) };
}

/** Whether a value may stand in a header. */
export function isHeaderText(value: unknown): boolean {
  return typeof value === "string" && /^[\x21-\x7e]{1,16384}$/.test(value);
}

/** The caller's function, in messages. */
export const GIVER = "the function that gives the AWS credential";
const SHARED: SharedCredentials<AwsCredentials> = new SharedCredentials();
/** AWS's own clients have the same: the services give out credentials that have five minutes left. */
const AHEAD_MS = 300_000;
