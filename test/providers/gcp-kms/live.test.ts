import { expect, test } from "vitest";
import { conformance } from "../../../providers/conformance/index.ts";
import { diagnoseGcpKey, gcpKmsKey } from "../../../providers/gcp-kms/index.ts";
import { describeLive } from "../../support/live.ts";

// Two symmetric keys of the real service, with the rights of docs/providers/gcp-kms.md on both, and an access token for them. A run makes
// some hundred requests.

const VARIABLES = ["ENVELOCK_LIVE_GCP_KEY", "ENVELOCK_LIVE_GCP_OTHER_KEY", "ENVELOCK_LIVE_GCP_TOKEN"];

describeLive("Google Cloud KMS", VARIABLES, (key = "", otherKey = "", accessToken = "") => {
  const token = async (): Promise<{ readonly token: string }> => ({ token: accessToken });
  for (const verifyVersion of [false, true]) {
    const open = (name: string): ReturnType<typeof gcpKmsKey> => gcpKmsKey({ key: name, token, verifyVersion });
    const harness = { bindsContext: true, flips: "each-byte", open: () => open(key), openOther: () => open(otherKey) } as const;
    for (const { name, run } of conformance(harness)) test(`${name}${verifyVersion ? ", version read" : ""}`, run);
  }

  test("the doctor finds nothing", async () => {
    const findings = await diagnoseGcpKey({ key, token });
    expect(findings.filter(({ status }) => status === "failed")).toEqual([]);
  });
});
