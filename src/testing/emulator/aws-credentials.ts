import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";

/** Credentials in the shape of AWS's own packages. */
export interface EmulatedCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Makes new credentials. @param lifeSeconds until they expire: such credentials have a session token. Undefined: they do not expire */
export function newCredentials(clock: Clock, lifeSeconds: number | undefined): EmulatedCredentials {
  const isTemporary = lifeSeconds !== undefined;
  return {
    accessKeyId: `${isTemporary ? "ASIA" : "AKIA"}${randomBytes(8).toString("hex").toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString("base64"),
    ...(isTemporary && {
      sessionToken: randomBytes(90).toString("base64"),
      expiration: new Date(clock.unixMs() + lifeSeconds * 1000),
    }),
  };
}

/** Whether a list of actions such as `kms:Encrypt`, `kms:*` or `*` allows an action. */
export function allows(actions: readonly string[], action: string): boolean {
  return actions.includes("*") || actions.includes(action) || actions.includes(`${action.split(":")[0]}:*`);
}
