import { expect, test } from "vitest";
import { type AwsKmsKeyOptions, awsKmsKey, diagnoseAwsKmsKey } from "../../../providers/aws-kms/index.ts";
import { conformance } from "../../../providers/conformance/index.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { unwrapOne, wrapOne } from "../azure/calls.ts";

/** Two symmetric keys of a service, and how to reach it. */
export interface AwsLive extends Omit<AwsKmsKeyOptions, "keyArn"> {
  readonly keyArn: string;
  readonly otherArn: string;
}

/** What holds for the service itself, and for the emulator in its place. */
export function awsLiveSuite({ keyArn, otherArn, ...connection }: AwsLive): void {
  const open = (arn: string, more: Partial<AwsKmsKeyOptions> = {}): ReturnType<typeof awsKmsKey> =>
    awsKmsKey({ ...connection, keyArn: arn, ...more });
  for (const trackMaterial of [false, true]) {
    const at = (arn: string): ReturnType<typeof awsKmsKey> => open(arn, { trackMaterial });
    const harness = { bindsContext: true, flips: "each-byte", open: () => at(keyArn), openOther: () => at(otherArn) } as const;
    for (const { name, run } of conformance(harness)) test(`${name}${trackMaterial ? ", material tracked" : ""}`, run);
  }

  test("the doctor finds nothing", async () => {
    const findings = await diagnoseAwsKmsKey({ ...connection, keyArn });
    expect(findings.filter(({ status }) => status === "failed")).toEqual([]);
  });

  test("credentials that are not known are denied, by name", async () => {
    const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "0".repeat(40) };
    expect(await refusal(() => wrapOne(open(keyArn, { credentials })))).toMatchObject({ code: "access-denied", detail: "credential" });
  });

  test("a key that is not there, or not ours to know of", async () => {
    const nobody = keyArn.replace(/key\/.*/, "key/00000000-0000-4000-8000-000000000000");
    expect(["key-not-found", "access-denied"]).toContain(await refusalCode(() => wrapOne(open(nobody))));
  });

  test("a wrapped key is of the key that its ARN names", async () => {
    const recipient = await wrapOne(open(keyArn));
    expect(await unwrapOne(open(keyArn), recipient)).toHaveLength(32);
    expect(await refusalCode(() => unwrapOne(open(otherArn), { ...recipient, keyId: otherArn }))).toBe("unwrap-rejected");
  });
}
