import { systemClock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { Finding } from "../../../src/core/contracts/finding.ts";
import { fieldOf, textFieldOf } from "../../http/fields.ts";
import { Findings } from "../../http/findings.ts";
import { type TripCheck, tripFindings } from "../../http/trip-findings.ts";
import { parseKeyArn } from "../arn.ts";
import { type AwsKmsKeyOptions, awsKmsKey } from "../aws-kms-key.ts";
import { AwsConnection } from "../connection.ts";

export type AwsKmsCheck = "credentials" | "key" | "state" | "key-type" | "expiry" | "rotation" | TripCheck;

export interface DiagnoseAwsKmsKeyOptions extends AwsKmsKeyOptions {
  /** The key context of the round trip, for a policy that allows no other. Default: none. */
  readonly keyContext?: Readonly<Record<string, string>>;
}

/**
 * Looks at a key from the credentials to a round trip, for `envelock doctor` and for a check at start. Wraps and unwraps 32 random
 * bytes, and changes nothing.
 *
 * @returns every check, in this order; what it meets is a finding, not an exception
 * @throws `invalid-argument` for a bad option
 * @example
 * ```ts
 * import { diagnoseAwsKmsKey, instanceCredentials } from "envelock/providers/aws-kms";
 *
 * const keyArn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
 * const findings = await diagnoseAwsKmsKey({ keyArn, credentials: instanceCredentials() });
 * console.table(findings.filter(({ status }) => status !== "ok"));
 * ```
 */
export async function diagnoseAwsKmsKey({
  keyContext = {},
  ...options
}: DiagnoseAwsKmsKeyOptions): Promise<readonly Finding<AwsKmsCheck>[]> {
  const provider = awsKmsKey(options); // checks the options
  const { keyArn, keyType = "symmetric", trackMaterial: _, replicas: __, failover: ___, ...connectionOptions } = options;
  const { clock = systemClock } = options;
  const connection = new AwsConnection(parseKeyArn("keyArn", keyArn), connectionOptions);
  const findings = new Findings<AwsKmsCheck>();
  const source = await findings.try("credentials", async () => ({ endMs: await connection.credentialsEnd() }));
  if (source === undefined) {
    findings.skip([...KEY_CHECKS, ...TRIP_CHECKS], "there are no credentials");
    await provider.close();
    return findings.all;
  }
  findings.ok("credentials", lifeOf(source.endMs, clock.unixMs()));
  await keyFindings(connection, keyType, findings);
  const contextAdvice = "this is no AWS KMS: name its own endpoint";
  await tripFindings({ provider, clock, keyContext, contextAdvice, bindsContext: keyType === "symmetric" }, findings);
  return findings.all;
}

function lifeOf(endMs: number | undefined, nowMs: number): string {
  return endMs === undefined
    ? "there are credentials, which do not say that they end"
    : `there are credentials for another ${Math.round((endMs - nowMs) / 1000)} s`;
}

async function keyFindings(connection: AwsConnection, keyType: "symmetric" | "rsa", findings: Findings<AwsKmsCheck>): Promise<void> {
  const answer = await findings.try("key", () => connection.call("DescribeKey", {}, undefined));
  if (answer === undefined) {
    findings.skip(KEY_CHECKS.slice(1), "the key could not be described; kms:DescribeKey is needed for `current` and these checks alone");
    return;
  }
  const key = fieldOf(answer, "KeyMetadata");
  findings.ok("key", `${connection.origin} has the key${fieldOf(key, "MultiRegion") === true ? ", of several regions" : ""}`);
  stateFinding(textFieldOf(key, "KeyState") ?? "unknown", findings);
  const spec = textFieldOf(key, "KeySpec") ?? "unknown";
  const usage = textFieldOf(key, "KeyUsage") ?? "unknown";
  const actual = spec === "SYMMETRIC_DEFAULT" ? "symmetric" : spec.startsWith("RSA_") ? "rsa" : undefined;
  if (usage !== "ENCRYPT_DECRYPT" || actual === undefined)
    findings.fail(
      "key-type",
      `a key of the spec ${spec} with the usage ${usage} cannot wrap keys`,
      "make one with the usage ENCRYPT_DECRYPT",
    );
  else if (actual !== keyType)
    findings.fail("key-type", `the key is of the spec ${spec}, and keyType is "${keyType}"`, `give keyType: "${actual}"`);
  else findings.ok("key-type", `the key is of the spec ${spec}`);
  if (fieldOf(key, "ValidTo") === undefined) findings.ok("expiry", "the key material does not expire");
  else findings.warn("expiry", "the imported key material expires", "import it again in time: until then nothing is opened");
  if (actual === "symmetric" && textFieldOf(key, "Origin") === "AWS_KMS") await rotationFinding(connection, findings);
  else findings.skip(["rotation"], "the service does not rotate such a key");
}

function stateFinding(state: string, findings: Findings<AwsKmsCheck>): void {
  if (state === "Enabled") findings.ok("state", "the key is enabled");
  else if (state === "PendingDeletion") findings.fail("state", "the key will be deleted", "aws kms cancel-key-deletion, then enable-key");
  else if (state === "Disabled") findings.fail("state", "the key is disabled", "aws kms enable-key");
  else findings.fail("state", `the key is in the state ${state}`, "look at it in the console");
}

async function rotationFinding(connection: AwsConnection, findings: Findings<AwsKmsCheck>): Promise<void> {
  const answer = await connection.call("GetKeyRotationStatus", {}, undefined).catch((error: unknown) => {
    if (error instanceof EnvelockError) return undefined;
    throw error;
  });
  if (answer === undefined) findings.skip(["rotation"], "the credentials may not ask for it: kms:GetKeyRotationStatus");
  else if (fieldOf(answer, "KeyRotationEnabled") === true) findings.ok("rotation", "the key is rotated by itself");
  else findings.warn("rotation", "the key is not rotated", "aws kms enable-key-rotation");
}

const KEY_CHECKS: readonly AwsKmsCheck[] = ["key", "state", "key-type", "expiry", "rotation"];
const TRIP_CHECKS: readonly AwsKmsCheck[] = ["wrap", "unwrap", "context", "latency"];
