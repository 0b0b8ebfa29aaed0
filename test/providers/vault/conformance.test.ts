import { afterAll, describe, test } from "vitest";
import { type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import { type VaultTransitKeyOptions, vaultTransitKey } from "../../../providers/vault/index.ts";
import type { ErrorCode } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { type TransitKeyType, VaultEmulator } from "../../../src/testing/vault-emulator/index.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";

const emulator = await VaultEmulator.start({ mounts: ["transit", "team-a/keys"] });
afterAll(() => emulator.close());

check("aes256-gcm96", { mount: "transit" });
check("aes128-gcm96", { mount: "transit" });
check("chacha20-poly1305", { mount: "transit", id: "vault://corp/transit/orders" });
check("xchacha20-poly1305", { mount: "keys", namespace: "team-a" });
check("rsa-2048", { mount: "transit", keyType: "rsa" });

function check(type: TransitKeyType, options: Partial<VaultTransitKeyOptions> & { readonly mount: string }): void {
  const place = options.namespace === undefined ? options.mount : `${options.namespace}/${options.mount}`;
  const name = `orders-${type}`;
  const other = `${name}-2`;
  const token = emulator.issueToken({ namespace: options.namespace ?? "" });
  for (const each of [name, other]) emulator.createKey(each, type, {}, place);
  const open = (key: string): KeyProvider => {
    const id = options.id === undefined ? {} : { id: key === name ? options.id : `${options.id}-2` };
    return vaultTransitKey({ ...emulator.connection, token, key, ...options, ...id });
  };
  const base = options.id ?? `${emulator.url}/${place}/${name}`;
  const harness: ConformanceHarness = {
    bindsContext: !type.startsWith("rsa"),
    flips: type.startsWith("rsa") ? "each-byte" : "each-bit",
    secrets: [Buffer.from(token)],
    hostileKeyIds: [
      base,
      `${base}#`,
      `${base}#0`,
      `${base}#01`,
      `${base}#1e0`,
      `${base}#1 `,
      `${base}-2#1`,
      `${base}/#1`,
      `${base}#1234567890`,
    ],
    open: () => open(name),
    openOther: () => open(other),
    rotate: () => void emulator.rotate(name, place),
    calls: () => emulator.requests.length,
    failures: failures(),
    hold: () => emulator.holdNext(),
    withEmptyEnvironment,
  };
  describe(`${type}${options.namespace === undefined ? "" : " in a namespace"}`, () => {
    for (const { name: what, run } of conformance(harness)) test(what, run);
  });
}

function failures(): Partial<Record<ErrorCode, () => void>> {
  return {
    "access-denied": () => emulator.failNext("permission-denied"),
    "key-disabled": () => emulator.failNext("soft-deleted"),
    "key-not-found": () => emulator.failNext("key-not-found"),
    "rate-limited": () => emulator.failNext("quota"),
    unavailable: () => emulator.failNext("sealed"),
    "provider-failure": () => emulator.failNext({ status: 418, text: "" }),
  };
}
