import { systemClock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { jsonIn } from "../../../src/core/base/json.ts";
import { type OptionNames, refuseUnknown } from "../../../src/core/base/options.ts";
import type { Finding } from "../../../src/core/contracts/finding.ts";
import { fieldOf, textFieldOf } from "../../http/fields.ts";
import { Findings, optional } from "../../http/findings.ts";
import { type TripCheck, tripFindings } from "../../http/trip-findings.ts";
import { type KeyArn, parseKeyArn } from "../arn.ts";
import { type AwsKmsKeyOptions, awsKmsKey, KMS_KEY_OPTIONS } from "../aws-kms-key.ts";
import { AwsConnection } from "../connection.ts";
import { type AwsOperation, AwsServiceError } from "../failures.ts";

export type AwsKmsCheck =
  | "credentials"
  | "key"
  | "state"
  | "key-type"
  | "expiry"
  | "recovery"
  | "rotation"
  | "excess-rights"
  | "administrators"
  | TripCheck;

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
export async function diagnoseAwsKmsKey(given: DiagnoseAwsKmsKeyOptions): Promise<readonly Finding<AwsKmsCheck>[]> {
  refuseUnknown(given, DIAGNOSE_OPTIONS, "diagnoseAwsKmsKey");
  const { keyContext = {}, ...options } = given;
  const provider = awsKmsKey(options); // checks the values
  const { keyArn, keyType = "symmetric", trackMaterial: _, replicas: __, failover: ___, ...connectionOptions } = options;
  const { clock = systemClock } = options;
  const key = parseKeyArn("keyArn", keyArn);
  const connection = new AwsConnection(key, connectionOptions);
  const findings = new Findings<AwsKmsCheck>();
  const source = await findings.try("credentials", async () => ({ endMs: await connection.credentialsEnd() }));
  if (source === undefined) {
    findings.skip([...KEY_CHECKS, ...RIGHTS_CHECKS, ...TRIP_CHECKS], "there are no credentials");
    await provider.close();
    return findings.all;
  }
  findings.ok("credentials", lifeOf(source.endMs, clock.unixMs()));
  const nowMs = clock.unixMs();
  await keyFindings(connection, { keyType, nowMs }, findings);
  await rightsFinding(connection, key, findings);
  await administratorsFinding(connection, findings);
  const contextAdvice = "this is no AWS KMS: name its own endpoint";
  const mayUnwrap = (): Promise<boolean> => mayDecrypt(connection, keyType, keyContext);
  await tripFindings({ provider, clock, keyContext, contextAdvice, mayUnwrap, bindsContext: keyType === "symmetric" }, findings);
  return findings.all;
}

function lifeOf(endMs: number | undefined, nowMs: number): string {
  return endMs === undefined
    ? "there are credentials, which do not say that they end"
    : `there are credentials for another ${Math.round((endMs - nowMs) / 1000)} s`;
}

interface Looked {
  readonly keyType: "symmetric" | "rsa";
  readonly nowMs: number;
}

async function keyFindings(connection: AwsConnection, { keyType, nowMs }: Looked, findings: Findings<AwsKmsCheck>): Promise<void> {
  const answer = await findings.try("key", () => connection.call("DescribeKey", {}, undefined));
  if (answer === undefined) {
    findings.skip(KEY_CHECKS.slice(1), "the key could not be described; kms:DescribeKey is needed for `current` and these checks alone");
    return;
  }
  const key = fieldOf(answer, "KeyMetadata");
  findings.ok("key", `${connection.origin} has the key${fieldOf(key, "MultiRegion") === true ? ", of several regions" : ""}`);
  stateFinding(textFieldOf(key, "KeyState") ?? "unknown", timeOf(key, "DeletionDate"), findings);
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
  expiryFinding(timeOf(key, "ValidTo"), nowMs, findings);
  recoveryFinding(textFieldOf(key, "Origin") ?? "unknown", findings);
  if (actual === "symmetric" && textFieldOf(key, "Origin") === "AWS_KMS") await rotationFinding(connection, findings);
  else findings.skip(["rotation"], "the service does not rotate such a key");
}

/** The service writes times as seconds since 1970, with a fraction. */
function timeOf(key: unknown, name: string): number | undefined {
  const seconds = fieldOf(key, name);
  return typeof seconds === "number" && seconds >= 0 ? Math.floor(seconds * 1000) : undefined;
}

function stateFinding(state: string, deletionMs: number | undefined, findings: Findings<AwsKmsCheck>): void {
  if (state === "Enabled") findings.ok("state", "the key is enabled");
  else if (state === "PendingDeletion") {
    const message = `the key will be deleted${deletionMs === undefined ? "" : ` on ${dateOf(deletionMs)}`}`;
    const advice = "aws kms cancel-key-deletion, then enable-key";
    findings.add({ check: "state", status: "failed", message, advice, ...(deletionMs !== undefined && { notAfterMs: deletionMs }) });
  } else if (state === "Disabled") findings.fail("state", "the key is disabled", "aws kms enable-key");
  else findings.fail("state", `the key is in the state ${state}`, "look at it in the console");
}

function expiryFinding(endMs: number | undefined, nowMs: number, findings: Findings<AwsKmsCheck>): void {
  if (endMs === undefined) findings.add({ check: "expiry", status: "ok", message: "the key material does not expire", notAfterMs: null });
  else {
    const isPast = endMs <= nowMs;
    findings.add({
      check: "expiry",
      status: isPast ? "failed" : "warning",
      message: `the imported key material ${isPast ? "expired" : "expires"} on ${dateOf(endMs)}`,
      advice: isPast ? "import it again: until then nothing is opened" : "import it again before: once it expired nothing is opened",
      notAfterMs: endMs,
    });
  }
}

function recoveryFinding(origin: string, findings: Findings<AwsKmsCheck>): void {
  if (origin === "EXTERNAL")
    findings.warn(
      "recovery",
      "the key material was imported, and the service cannot bring it back",
      "keep the original, offline and twice",
    );
  else if (origin === "AWS_CLOUDHSM" || origin === "EXTERNAL_KEY_STORE")
    findings.warn("recovery", `the key material is in a key store of its own (${origin})`, "back up that store, and watch that it answers");
  else findings.ok("recovery", "the service keeps a key for 7 to 30 days after its deletion was asked for");
}

/** A dry run of the one right beyond wrapping and unwrapping that the service lets a caller try: to give rights to others. */
async function rightsFinding(connection: AwsConnection, { partition, account }: KeyArn, findings: Findings<AwsKmsCheck>): Promise<void> {
  const grant = { GranteePrincipal: `arn:${partition}:iam::${account}:root`, Operations: ["Decrypt"], DryRun: true };
  try {
    if (!(await mayDo(connection, "CreateGrant", grant))) {
      findings.ok("excess-rights", "the principal cannot give rights on the key to others");
      return;
    }
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    findings.skip(["excess-rights"], `whether the principal may give rights to others cannot be told: ${error.code}`);
    return;
  }
  const advice = "allow kms:Encrypt, kms:Decrypt, kms:DescribeKey and kms:GetKeyRotationStatus, and nothing else";
  findings.warn("excess-rights", "the principal may give rights on the key to others (kms:CreateGrant)", advice);
}

/** A dry run that needs no ciphertext: a reader may have no right to wrap one. */
async function mayDecrypt(
  connection: AwsConnection,
  keyType: "symmetric" | "rsa",
  keyContext: Readonly<Record<string, string>>,
): Promise<boolean> {
  const symmetric = { EncryptionAlgorithm: "SYMMETRIC_DEFAULT", EncryptionContext: keyContext };
  const key = keyType === "symmetric" ? symmetric : { EncryptionAlgorithm: "RSAES_OAEP_SHA_256" };
  return await mayDo(connection, "Decrypt", { ...key, DryRun: true, DryRunModifiers: ["IGNORE_CIPHERTEXT"] });
}

/** Asks by a dry run whether the principal may do it. @throws any refusal but a denial */
async function mayDo(connection: AwsConnection, operation: AwsOperation, dryRun: object): Promise<boolean> {
  try {
    await connection.call(operation, dryRun, undefined);
    return true;
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    if (error.code === "access-denied") return false;
    if (error.cause instanceof AwsServiceError && error.cause.type === "DryRunOperationException") return true;
    throw error;
  }
}

/** Only the service's support can manage a key without an administrator. */
async function administratorsFinding(connection: AwsConnection, findings: Findings<AwsKmsCheck>): Promise<void> {
  const answer = await optional(() => connection.call("GetKeyPolicy", { PolicyName: "default" }, undefined));
  const statements = statementsIn(textFieldOf(answer, "Policy"));
  if (statements === undefined) findings.skip(["administrators"], "the credentials may not read the key policy, and need not");
  else if (statements.some(isOfAnAdministrator)) findings.ok("administrators", "the key policy names an administrator");
  else {
    const advice = "add a statement that lets the account's administrators manage the key: without one only AWS support can";
    findings.warn("administrators", "the key policy lets no principal change it", advice);
  }
}

function statementsIn(policy: string | undefined): readonly unknown[] | undefined {
  const statements = fieldOf(policy === undefined ? undefined : jsonIn(policy), "Statement");
  if (statements === undefined) return undefined;
  return Array.isArray(statements) ? statements : [statements];
}

function isOfAnAdministrator(statement: unknown): boolean {
  const actions = fieldOf(statement, "Action");
  const list: readonly unknown[] = Array.isArray(actions) ? actions : [actions];
  return fieldOf(statement, "Effect") === "Allow" && list.some((action) => typeof action === "string" && ADMINISTERS.test(action));
}

function dateOf(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 10);
}

async function rotationFinding(connection: AwsConnection, findings: Findings<AwsKmsCheck>): Promise<void> {
  const answer = await optional(() => connection.call("GetKeyRotationStatus", {}, undefined));
  if (answer === undefined) findings.skip(["rotation"], "the credentials may not ask for it: kms:GetKeyRotationStatus");
  else if (fieldOf(answer, "KeyRotationEnabled") === true) findings.ok("rotation", "the key is rotated by itself");
  else findings.warn("rotation", "the key is not rotated", "aws kms enable-key-rotation");
}

const DIAGNOSE_OPTIONS: OptionNames<DiagnoseAwsKmsKeyOptions> = { ...KMS_KEY_OPTIONS, keyContext: true };
const KEY_CHECKS: readonly AwsKmsCheck[] = ["key", "state", "key-type", "expiry", "recovery", "rotation"];
const RIGHTS_CHECKS: readonly AwsKmsCheck[] = ["excess-rights", "administrators"];
/** Actions that change a key policy, also by a pattern. */
const ADMINISTERS = /^(?:\*|kms:(?:\*|Put(?:\*|Key(?:\*|Policy))))$/i;
const TRIP_CHECKS: readonly AwsKmsCheck[] = ["wrap", "unwrap", "context", "latency"];
