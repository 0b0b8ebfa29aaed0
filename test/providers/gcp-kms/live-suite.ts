import { expect, test } from "vitest";
import { conformance } from "../../../providers/conformance/index.ts";
import { diagnoseGcpKey, type GcpKmsKeyOptions, gcpKmsKey } from "../../../providers/gcp-kms/index.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { unwrapOne, wrapOne } from "../azure/calls.ts";

/** Two symmetric keys of a service, and how to reach it. */
export interface GcpLive extends GcpKmsKeyOptions {
  readonly otherKey: string;
}

/** What holds for the service itself, and for the emulator in its place. */
export function gcpLiveSuite({ key, otherKey, ...connection }: GcpLive): void {
  const open = (name: string, more: Partial<GcpKmsKeyOptions> = {}): ReturnType<typeof gcpKmsKey> =>
    gcpKmsKey({ ...connection, key: name, ...more });
  for (const verifyVersion of [false, true]) {
    const at = (name: string): ReturnType<typeof gcpKmsKey> => open(name, { verifyVersion });
    const harness = { bindsContext: true, flips: "each-byte", open: () => at(key), openOther: () => at(otherKey) } as const;
    for (const { name, run } of conformance(harness)) test(`${name}${verifyVersion ? ", version read" : ""}`, run);
  }

  test("the doctor finds nothing", async () => {
    const findings = await diagnoseGcpKey({ ...connection, key });
    expect(findings.filter(({ status }) => status === "failed")).toEqual([]);
  });

  test("a token that is not known is denied, by name", async () => {
    const token = async (): Promise<{ readonly token: string }> => ({ token: "ya29.nobody" });
    expect(await refusal(() => wrapOne(open(key, { token })))).toMatchObject({ code: "access-denied", detail: "token" });
  });

  test("a key that is not there, or not ours to know of", async () => {
    expect(["key-not-found", "access-denied"]).toContain(await refusalCode(() => wrapOne(open(`${key}-nobody`))));
  });

  test("a wrapped key is of the key that its name names", async () => {
    const recipient = await wrapOne(open(key));
    expect(await unwrapOne(open(key), recipient)).toHaveLength(32);
    const elsewhere = { ...recipient, keyId: recipient.keyId.replace(key, otherKey) };
    expect(await refusalCode(() => unwrapOne(open(otherKey), elsewhere))).toBe("unwrap-rejected");
  });
}
