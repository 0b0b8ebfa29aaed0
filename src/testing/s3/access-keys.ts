import type { Clock } from "../../core/base/clock.ts";
import { allows, type EmulatedCredentials, newCredentials } from "../emulator/aws-credentials.ts";
import { S3Answer } from "./answer.ts";

/** The rights and the lifetime of credentials. */
export interface AccessTraits {
  /** Actions such as `s3:GetObject`, or `s3:*`. Default: all. */
  readonly allow?: readonly string[];
  /** Seconds until they expire. Such credentials have a session token. Default: they do not expire. */
  readonly lifeSeconds?: number;
}

export interface AccessKey {
  readonly credentials: EmulatedCredentials;
  readonly allow: readonly string[];
}

/** The keys that sign requests. */
export class AccessKeys {
  readonly #clock: Clock;
  readonly #byId: Map<string, AccessKey> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue({ allow = ["*"], lifeSeconds }: AccessTraits): EmulatedCredentials {
    const credentials = newCredentials(this.#clock, lifeSeconds);
    this.#byId.set(credentials.accessKeyId, { credentials, allow: [...allow] });
    return credentials;
  }

  revokeAll(): void {
    this.#byId.clear();
  }

  /** @throws `InvalidAccessKeyId`, `InvalidToken`, `ExpiredToken` */
  find(accessKeyId: string, sessionToken: string | undefined): AccessKey {
    const found = this.#byId.get(accessKeyId);
    if (found === undefined)
      throw new S3Answer("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", {
        AWSAccessKeyId: accessKeyId,
      });
    const { sessionToken: own, expiration } = found.credentials;
    if (own !== sessionToken) throw new S3Answer("InvalidToken", "The provided token is malformed or otherwise invalid.");
    if (expiration !== undefined && expiration.getTime() <= this.#clock.unixMs())
      throw new S3Answer("ExpiredToken", "The provided token has expired.");
    return found;
  }
}

/** @throws `AccessDenied` */
export function requireAllowed(key: AccessKey, action: string): void {
  if (!allows(key.allow, action)) throw new S3Answer("AccessDenied");
}
