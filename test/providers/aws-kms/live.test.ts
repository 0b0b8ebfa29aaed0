import { expect, test } from "vitest";
import { awsKmsKey, diagnoseAwsKmsKey } from "../../../providers/aws-kms/index.ts";
import { conformance } from "../../../providers/conformance/index.ts";
import { describeLive } from "../../support/live.ts";

// Two symmetric keys of the real service, with the rights of docs/providers/aws-kms.md on both. A run makes some hundred requests.

const VARIABLES = ["ENVELOCK_LIVE_AWS_KEY", "ENVELOCK_LIVE_AWS_OTHER_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

describeLive("AWS KMS", VARIABLES, (keyArn = "", otherArn = "", accessKeyId = "", secretAccessKey = "") => {
  const { AWS_SESSION_TOKEN: sessionToken } = process.env;
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
  for (const trackMaterial of [false, true]) {
    const open = (arn: string): ReturnType<typeof awsKmsKey> => awsKmsKey({ keyArn: arn, credentials, trackMaterial });
    const harness = { bindsContext: true, flips: "each-byte", open: () => open(keyArn), openOther: () => open(otherArn) } as const;
    for (const { name, run } of conformance(harness)) test(`${name}${trackMaterial ? ", material tracked" : ""}`, run);
  }

  test("the doctor finds nothing", async () => {
    const findings = await diagnoseAwsKmsKey({ keyArn, credentials });
    expect(findings.filter(({ status }) => status === "failed")).toEqual([]);
  });
});
