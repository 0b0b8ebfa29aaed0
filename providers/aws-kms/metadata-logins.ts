import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { textFieldOf } from "../http/fields.ts";
import { given } from "../http/given.ts";
import { type HttpAnswer, type HttpOptions, HttpService } from "../http/http-service.ts";
import { wordOf } from "../http/transport-failures.ts";
import { answeredCredentials } from "./answered-credentials.ts";
import { type AwsCredentials, AwsLogin, GIVER, isHeaderText } from "./credentials.ts";
import { brokenAnswer, serviceFailure } from "./failures.ts";

export interface ContainerCredentialsOptions {
  /**
   * Where the credentials are: a path for the address 169.254.170.2 of ECS, as AWS_CONTAINER_CREDENTIALS_RELATIVE_URI has it; or a whole
   * URL, as AWS_CONTAINER_CREDENTIALS_FULL_URI has it. By HTTP at the addresses of ECS and EKS and on loopback alone.
   */
  readonly uri: string;
  /** Gives what is shown as `authorization`, as the file of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE has it. It is asked each time. */
  readonly authorization?: () => Promise<string>;
}

export interface InstanceCredentialsOptions {
  /** The origin of the metadata service. Default `http://169.254.169.254`. */
  readonly endpoint?: string;
}

/**
 * Credentials of a container's task or pod: of ECS, and of EKS Pod Identity.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { containerCredentials } from "envelock/providers/aws-kms";
 *
 * export const credentialsAt = (uri: string) => containerCredentials({ uri });
 * ```
 */
export function containerCredentials(options: ContainerCredentialsOptions): AwsLogin {
  refuseUnknown(options, CONTAINER_OPTIONS, "containerCredentials");
  const { uri, authorization } = options;
  const url = typeof uri === "string" && URL.canParse(uri, ECS_ORIGIN) ? new URL(uri, ECS_ORIGIN) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "") throw invalidArgument("uri is a path or a URL");
  if (authorization !== undefined && typeof authorization !== "function") throw invalidArgument("authorization is a function");
  const open = (http: HttpOptions): HttpService => new HttpService(url.origin, http, [ECS_HOST, ...EKS_HOSTS]);
  open({}); // checks the origin
  return new AwsLogin(async ({ http }) => {
    const shown = authorization === undefined ? undefined : `${await given(GIVER, http, authorization)}`.trim();
    if (shown !== undefined && !isHeaderText(shown))
      throw new EnvelockError("access-denied", "the function that gives the container's authorization gave none", { detail: "credential" });
    const headers = shown === undefined ? {} : { authorization: shown };
    const path = `${url.pathname}${url.search}`;
    const answer = await open(http).send({ method: "GET", path, headers, what: "the container's credentials" }, undefined);
    return credentialsOf(answer, "the container");
  });
}

/**
 * Credentials of the role of an EC2 instance, by version 2 of its metadata service.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { instanceCredentials } from "envelock/providers/aws-kms";
 *
 * const credentials = instanceCredentials();
 * ```
 */
export function instanceCredentials(options: InstanceCredentialsOptions = {}): AwsLogin {
  refuseUnknown(options, INSTANCE_OPTIONS, "instanceCredentials");
  const { endpoint = `http://${INSTANCE_HOSTS[0]}` } = options;
  const open = (http: HttpOptions): HttpService => new HttpService(endpoint, http, INSTANCE_HOSTS);
  open({}); // checks the origin
  return new AwsLogin(async ({ http }) => {
    const service = open(http);
    const what = "the instance's metadata service";
    const asks = { "x-aws-ec2-metadata-token-ttl-seconds": "21600" };
    const session = checked(await service.send({ method: "PUT", path: "/latest/api/token", headers: asks, what }, undefined)).text;
    if (!/^[\x21-\x7e]{1,2048}$/.test(session)) throw brokenAnswer("GetCredentials", "the instance", "holds no session token");
    const get = (path: string): Promise<HttpAnswer> =>
      service.send({ method: "GET", path, headers: { "x-aws-ec2-metadata-token": session }, what }, undefined);
    const role = checked(await get(ROLES_PATH)).text.trim();
    if (!/^[\w+=,.@-]{1,128}$/.test(role)) throw brokenAnswer("GetCredentials", "the instance", "names no role");
    return credentialsOf(await get(`${ROLES_PATH}${encodeURIComponent(role)}`), "the instance");
  });
}

function checked(answer: HttpAnswer): HttpAnswer {
  if (answer.status === 200) return answer;
  if (answer.status === 404)
    throw new EnvelockError("access-denied", "the instance has no role", { detail: "login", hint: "attach an instance profile" });
  throw serviceFailure(answer, "GetCredentials", "the instance");
}

function credentialsOf(answer: HttpAnswer, of: string): AwsCredentials {
  if (answer.status !== 200) throw serviceFailure(answer, "GetCredentials", of);
  const code = wordOf(textFieldOf(answer.json, "Code"));
  if (code !== undefined && code !== "Success") {
    const hint = "check that the trust policy of the role lets this service use it";
    throw new EnvelockError("access-denied", `${of} gives no credentials: ${code}`, { detail: "login", hint });
  }
  const found = answeredCredentials(answer.json, "Token");
  if (found === undefined) throw brokenAnswer("GetCredentials", of, "holds no credentials");
  return found;
}

const CONTAINER_OPTIONS: OptionNames<ContainerCredentialsOptions> = { uri: true, authorization: true };
const INSTANCE_OPTIONS: OptionNames<InstanceCredentialsOptions> = { endpoint: true };
const ECS_HOST = "169.254.170.2";
const ECS_ORIGIN = `http://${ECS_HOST}`;
const EKS_HOSTS: readonly string[] = ["169.254.170.23", "[fd00:ec2::23]"];
const INSTANCE_HOSTS: readonly string[] = ["169.254.169.254", "[fd00:ec2::254]"];
const ROLES_PATH = "/latest/meta-data/iam/security-credentials/";
