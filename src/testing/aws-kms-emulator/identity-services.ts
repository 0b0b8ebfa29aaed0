import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import type { EmulatedCredentials } from "../emulator/aws-credentials.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import type { ServedRequest } from "../emulator/loopback-server.ts";
import { AwsAnswer } from "./answer.ts";
import { accountOf, type Principals, type PrincipalTraits, requireAllowed } from "./principals.ts";
import { checkSignature } from "./signatures.ts";

/** The conditions for assuming a role: knowledge of the external id, or a token of an identity provider. */
export interface RoleTraits extends Omit<PrincipalTraits, "arn" | "lifeSeconds"> {
  readonly externalId?: string;
  /** The token that a web identity shows. */
  readonly webIdentityToken?: string;
}

/** The security token service, and the metadata services of an instance and a container. */
export class IdentityServices {
  readonly #clock: Clock;
  readonly #principals: Principals;
  readonly #roles: Map<string, RoleTraits> = new Map();
  readonly #sessions: Set<string> = new Set();
  /** The role of the instance and of the container, and the authorization that the container must show. */
  instanceRole: string | undefined;
  containerToken: string | undefined;

  constructor(clock: Clock, principals: Principals) {
    this.#clock = clock;
    this.#principals = principals;
  }

  addRole(arn: string, traits: RoleTraits): void {
    this.#roles.set(arn, traits);
  }

  /** @returns undefined for a path outside the metadata services */
  metadata({ method, url, headers }: ServedRequest): RawAnswer | undefined {
    const path = url.pathname;
    if (path === CONTAINER_PATH) {
      if (headers.authorization !== this.containerToken) return { status: 400, text: '{"code":"InvalidToken"}' };
      return this.#credentialsOfRole();
    }
    if (!path.startsWith("/latest/")) return undefined;
    if (path === "/latest/api/token" && method === "PUT") {
      if (headers["x-aws-ec2-metadata-token-ttl-seconds"] === undefined) return { status: 400, text: "" };
      const session = randomBytes(30).toString("base64");
      this.#sessions.add(session);
      return { status: 200, text: session };
    }
    if (!this.#sessions.has(headers["x-aws-ec2-metadata-token"]?.toString() ?? "")) return { status: 401, text: "" };
    const name = this.instanceRole?.split("/").at(-1);
    if (name === undefined) return { status: 404, text: "" };
    if (path === ROLES_PATH) return { status: 200, text: name };
    return path === `${ROLES_PATH}${name}` ? this.#credentialsOfRole() : { status: 404, text: "" };
  }

  /** @throws an `AwsAnswer` */
  sts(operation: string, fields: URLSearchParams, request: ServedRequest, nowMs: number): RawAnswer {
    if (operation === "AssumeRoleWithWebIdentity") {
      const traits = this.#roles.get(fields.get("RoleArn") ?? "");
      if (traits?.webIdentityToken === undefined || traits.webIdentityToken !== fields.get("WebIdentityToken"))
        throw new AwsAnswer("InvalidIdentityToken", "The web identity token that was passed could not be validated", 400);
      return this.#assumed(operation, fields, traits);
    }
    const { principal } = checkSignature(request, this.#principals, nowMs);
    if (operation === "GetCallerIdentity")
      return xml(
        operation,
        `<Arn>${principal.arn}</Arn><UserId>${principal.credentials.accessKeyId}</UserId><Account>${accountOf(principal.arn)}</Account>`,
      );
    if (operation !== "AssumeRole") throw new AwsAnswer("InvalidAction", `Could not find operation ${operation}`, 400);
    const traits = this.#roles.get(fields.get("RoleArn") ?? "");
    const isTrusted = traits !== undefined && (traits.externalId ?? null) === fields.get("ExternalId");
    if (!isTrusted) throw new AwsAnswer("AccessDenied", `User: ${principal.arn} is not authorized to perform: sts:AssumeRole`, 403);
    requireAllowed(principal, "sts:AssumeRole", undefined);
    return this.#assumed(operation, fields, traits);
  }

  #assumed(operation: string, fields: URLSearchParams, traits: RoleTraits): RawAnswer {
    const arn = fields.get("RoleArn") ?? "";
    const {
      accessKeyId,
      secretAccessKey,
      sessionToken = "",
      expiration,
    } = this.#issue(arn, traits, Number(fields.get("DurationSeconds") ?? 3600));
    return xml(
      operation,
      `<AssumedRoleUser><Arn>${arn}</Arn></AssumedRoleUser><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId>` +
        `<SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${sessionToken}</SessionToken>` +
        `<Expiration>${expiration?.toISOString()}</Expiration></Credentials>`,
    );
  }

  #credentialsOfRole(): RawAnswer {
    const arn = this.instanceRole;
    if (arn === undefined) return { status: 404, text: "" };
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = this.#issue(arn, this.#roles.get(arn) ?? {}, 6 * 3600);
    const fields = { Code: "Success", Type: "AWS-HMAC", LastUpdated: new Date(this.#clock.unixMs()).toISOString() };
    const shown = {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: expiration?.toISOString(),
    };
    return { status: 200, text: JSON.stringify({ ...fields, ...shown }) };
  }

  #issue(arn: string, { allow, onlyContext }: RoleTraits, lifeSeconds: number): EmulatedCredentials {
    return this.#principals.issue({ arn, lifeSeconds, ...(allow && { allow }), ...(onlyContext && { onlyContext }) });
  }
}

function xml(operation: string, result: string): RawAnswer {
  const text =
    `<${operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${operation}Result>${result}</${operation}Result>` +
    `<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata></${operation}Response>`;
  return { status: 200, text, headers: { "content-type": "text/xml" } };
}

export const CONTAINER_PATH = "/v2/credentials";
const ROLES_PATH = "/latest/meta-data/iam/security-credentials/";
