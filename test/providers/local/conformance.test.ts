import { describe, test } from "vitest";
import { engine } from "#engine";
import { type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import { hybridKeys } from "../../../providers/local/hybrid.ts";
import { generateKeysetKey, type KeysetKey, type KeysetKeyType, keysetProviders, localKey } from "../../../providers/local/index.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";

const KEY = engine.randomKey(32);
const OTHER_KEY = engine.randomKey(32);

check("localKey", {
  bindsContext: true,
  secrets: [KEY],
  open: () => localKey({ keyId: "orders-2026-11", key: KEY }),
  openOther: () => localKey({ keyId: "orders-2026-12", key: OTHER_KEY }),
  withEmptyEnvironment,
});
check("a keyset of AES-256 keys", await keysetHarness("aes-256"));
check("a keyset of X25519 key pairs", await keysetHarness("x25519"));
check("a keyset of MLKEM768-X25519 key pairs", { ...(await keysetHarness("mlkem768-x25519")), flips: "each-byte" });

function check(provider: string, harness: ConformanceHarness): void {
  describe(provider, () => {
    for (const { name, run } of conformance(harness)) test(name, run);
  });
}

async function keysetHarness(type: KeysetKeyType): Promise<ConformanceHarness> {
  const newKey = (keyId: string): Promise<KeysetKey> =>
    generateKeysetKey({ type, keyId, created: "2026-11-21T12:00:00Z", hybrid: hybridKeys });
  const keys = [await newKey("orders/1")];
  const otherKeys = [await newKey("invoices/1")];
  return {
    bindsContext: true,
    secrets: keys.flatMap(({ secret }) => secret ?? []),
    open: () => providerOf(keys),
    openOther: () => providerOf(otherKeys),
    async rotate() {
      keys.push(await newKey(`orders/${keys.length + 1}`));
    },
    withEmptyEnvironment,
  };
}

function providerOf(keys: readonly KeysetKey[]): KeyProvider {
  const [provider] = keysetProviders({ keys, primary: keys.at(-1)?.keyId ?? "" }, { hybrid: hybridKeys });
  if (provider === undefined) throw new Error("a keyset of one type makes one provider");
  return provider;
}
