import { expect, test } from "vitest";
import { conformance } from "../../../providers/conformance/index.ts";
import { diagnoseVaultKey, type VaultTransitKeyOptions, vaultRandom, vaultTransitKey } from "../../../providers/vault/index.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { unwrapOne, wrapOne } from "../azure/calls.ts";

/** Two AEAD keys of a transit engine, and how to reach it. */
export interface VaultLive extends VaultTransitKeyOptions {
  readonly otherKey: string;
}

/** What holds for a server, Vault or OpenBao, and for the emulator in its place. */
export function vaultLiveSuite({ key, otherKey, mount = "transit", ...connection }: VaultLive): void {
  const open = (name: string, more: Partial<VaultTransitKeyOptions> = {}): ReturnType<typeof vaultTransitKey> =>
    vaultTransitKey({ ...connection, mount, key: name, ...more });
  const harness = { bindsContext: true, flips: "each-byte", open: () => open(key), openOther: () => open(otherKey) } as const;
  for (const { name, run } of conformance(harness)) test(name, run);

  test("the doctor finds nothing", async () => {
    const findings = await diagnoseVaultKey({ ...connection, mount, key });
    expect(findings.filter(({ status }) => status === "failed")).toEqual([]);
  });

  test("a token that is not known is denied, by name", async () => {
    const error = await refusal(() => wrapOne(open(key, { token: "hvs.nobody" })));
    expect(error).toMatchObject({ code: "access-denied", detail: "permission-denied" });
  });

  test("a key that is not there, or not ours to know of", async () => {
    expect(["key-not-found", "access-denied"]).toContain(await refusalCode(() => open(`${key}-nobody`).current()));
    expect(["key-not-found", "access-denied"]).toContain(await refusalCode(() => open(key, { mount: "envelock-nobody" }).current()));
  });

  test("a wrapped key is of the key that its id names", async () => {
    const recipient = await wrapOne(open(key));
    expect(await unwrapOne(open(key), recipient)).toHaveLength(32);
    const elsewhere = { ...recipient, keyId: recipient.keyId.replace(`/${key}#`, `/${otherKey}#`) };
    expect(await refusalCode(() => unwrapOne(open(otherKey), elsewhere))).toBe("unwrap-rejected");
    const unknown = { ...recipient, keyId: recipient.keyId.replace(/#\d+$/, "#9999") };
    expect(await refusalCode(() => unwrapOne(open(key), unknown)), "the prefix names another version").toBe("unwrap-rejected");
  });

  test("random bytes of the server, or a token that may not have any", async () => {
    const random = vaultRandom({ ...connection, mount });
    const found = await random.randomBytes(32).catch((error: { readonly code: string }) => error.code);
    expect(typeof found === "string" ? found : found.length).toSatisfy((seen: unknown) => seen === 32 || seen === "access-denied");
  });
}
