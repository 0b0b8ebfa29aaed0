import type { Clock } from "../../core/base/clock.ts";
import { allows, type EmulatedCredentials, newCredentials } from "../emulator/aws-credentials.ts";
import { AwsAnswer, accessDenied } from "./answer.ts";

/** The rights and the lifetime of credentials. */
export interface PrincipalTraits {
  /** Default: a user of the emulator's account. */
  readonly arn?: string;
  /** Actions such as `kms:Encrypt`, or `kms:*`. Default: all. */
  readonly allow?: readonly string[];
  /** Pairs that the encryption context must hold, as a condition `kms:EncryptionContext:…`. Default: none. */
  readonly onlyContext?: Readonly<Record<string, string>>;
  /** Seconds until they expire. Such credentials have a session token. Default: they do not expire. */
  readonly lifeSeconds?: number;
}

export interface Principal {
  readonly arn: string;
  readonly credentials: EmulatedCredentials;
  readonly allow: readonly string[];
  readonly onlyContext: Readonly<Record<string, string>>;
}

/** The principals that sign requests. */
export class Principals {
  readonly #clock: Clock;
  readonly #byAccessKey: Map<string, Principal> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue({ arn = USER_ARN, allow = ["*"], onlyContext = {}, lifeSeconds }: PrincipalTraits): EmulatedCredentials {
    const credentials = newCredentials(this.#clock, lifeSeconds);
    this.#byAccessKey.set(credentials.accessKeyId, { arn, credentials, allow, onlyContext });
    return credentials;
  }

  /** Invalidates every credential issued so far. */
  revokeAll(): void {
    this.#byAccessKey.clear();
  }

  /** @throws `UnrecognizedClientException`, `ExpiredTokenException` */
  find(accessKeyId: string, sessionToken: string | undefined): Principal {
    const found = this.#byAccessKey.get(accessKeyId);
    if (found === undefined || found.credentials.sessionToken !== sessionToken)
      throw new AwsAnswer("UnrecognizedClientException", "The security token included in the request is invalid.");
    const { expiration } = found.credentials;
    if (expiration !== undefined && expiration.getTime() <= this.#clock.unixMs())
      throw new AwsAnswer("ExpiredTokenException", "The security token included in the request is expired");
    return found;
  }
}

/** @throws `AccessDeniedException` */
export function requireAllowed(principal: Principal, action: string, context: Readonly<Record<string, string>> | undefined): void {
  const isAllowed = allows(principal.allow, action);
  const isInContext = Object.entries(principal.onlyContext).every(([name, value]) => context === undefined || context[name] === value);
  if (!isAllowed || !isInContext) throw accessDenied(principal.arn, action);
}

export function accountOf(arn: string): string {
  return arn.split(":")[4] ?? "";
}

export const ACCOUNT = "111122223333";
const USER_ARN = `arn:aws:iam::${ACCOUNT}:user/emulator`;
