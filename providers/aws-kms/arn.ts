import { isTextOfAtMost } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { formHint, type WrongForm } from "../http/form-hint.ts";

/** The key service of a region. */
export interface RegionalService {
  /** The key that is called, or the region where no key is meant. */
  readonly text: string;
  readonly partition: Partition;
  readonly region: string;
}

/** A key by its ARN: the one spelling of it in key ids. */
export interface KeyArn extends RegionalService {
  readonly account: string;
  /** The id, such as `1234abcd-12ab-34cd-56ef-1234567890ab`, or `mrk-…` for a key of several regions. */
  readonly id: string;
}

export type Partition = "aws" | "aws-cn" | "aws-us-gov";

/** Which of a region's endpoints is called. */
export interface EndpointTraits {
  readonly fips: boolean;
  readonly dualStack: boolean;
}

/** @throws `invalid-argument` for anything but the ARN of a key: an alias can be moved to another one */
export function parseKeyArn(what: string, text: unknown): KeyArn {
  const [whole, partition, region, account, id] = (isTextOfAtMost(MAX_ARN_BYTES, text) ? KEY_ARN.exec(text) : null) ?? [];
  if (whole === undefined || region === undefined || account === undefined || id === undefined) {
    throw invalidArgument(
      `${what} is the ARN of a key, such as arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
      formHint(text, WRONG_KEYS, "copy it from: aws kms describe-key --key-id <key> --query KeyMetadata.Arn"),
    );
  }
  if (partition === "aws" || partition === "aws-cn" || partition === "aws-us-gov") return { text: whole, partition, region, account, id };
  throw invalidArgument(`${what} is of a partition that is not known here: aws, aws-cn and aws-us-gov are`);
}

/** The key service of a region, where no key is meant. @throws `invalid-argument` */
export function serviceIn(region: unknown): RegionalService {
  if (!isTextOfAtMost(MAX_ARN_BYTES, region) || !REGION.test(region))
    throw invalidArgument("region is the name of a region, such as eu-central-1");
  const partition = region.startsWith("cn-") ? "aws-cn" : region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
  return { text: region, partition, region };
}

/** The origin of a service in a region. `kms-fips`, dual stack and the suffix of a partition are of AWS's endpoint rules. */
export function originOf(
  service: "kms" | "sts",
  { partition, region }: Pick<RegionalService, "partition" | "region">,
  { fips, dualStack }: EndpointTraits,
): string {
  const isChina = partition === "aws-cn";
  const suffix = dualStack ? (isChina ? "api.amazonwebservices.com" : "api.aws") : "amazonaws.com";
  const isNamedFips = fips && !(service === "sts" && partition === "aws-us-gov"); // its plain name is FIPS already
  return `https://${service}${isNamedFips ? "-fips" : ""}.${region}.${suffix}${isChina ? ".cn" : ""}`;
}

/** @throws `invalid-argument` unless it is a role's ARN */
export function checkedRoleArn(arn: unknown): string {
  if (isTextOfAtMost(MAX_ARN_BYTES, arn) && ROLE_ARN.test(arn)) return arn;
  throw invalidArgument(
    "roleArn is the ARN of a role, such as arn:aws:iam::111122223333:role/orders",
    formHint(arn, WRONG_ROLES, "copy it from: aws iam get-role --role-name <role> --query Role.Arn"),
  );
}

const MAX_ARN_BYTES = 400;
const REGION = /^[a-z]{2}(?:-[a-z]{2,12}){1,3}-\d{1,2}$/;
const KEY_ARN =
  /^arn:([a-z-]{1,20}):kms:([a-z]{2}(?:-[a-z]{2,12}){1,3}-\d{1,2}):(\d{12}):key\/((?:mrk-)?[0-9a-f][0-9a-f-]{30,62}[0-9a-f])$/;
const ROLE_ARN = /^arn:aws(?:-cn|-us-gov)?:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/;
const WRONG_KEYS: readonly WrongForm[] = [
  [/alias\//, "an alias can be moved to another key: give the ARN that describe-key names"],
  [/#/, "leave out `#` and what follows it, which names the key material of one wrap"],
  [/^(?:key\/)?(?:mrk-)?[0-9a-f-]{32,36}$/i, "an id alone names no region and account: give the ARN that describe-key names"],
  [/^arn:[a-z-]*:(?!kms:)/, "this is the ARN of something else: give that of a KMS key"],
  [/^arn:[a-z-]*:kms::/, "the region is missing in it"],
];
const WRONG_ROLES: readonly WrongForm[] = [
  [/:assumed-role\//, "this is a session of a role: give the ARN of the role itself, arn:aws:iam::<account>:role/<role>"],
  [/:(?:user|root|group)\b/, "only a role can be assumed"],
];
