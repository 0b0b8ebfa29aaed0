import { describe, test } from "vitest";
import { engine } from "#engine";
import { bothOf, threshold } from "../../../providers/composite/index.ts";
import { type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import { localKey, localKeyPair } from "../../../providers/local/index.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { noise } from "../../support/arbitraries.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";
import { toyHarness, toyKey } from "../toy/toy-key.ts";
import { ONE_WAY_KEY, ToyKeyService } from "../toy/toy-key-service.ts";

const PLATFORM = noise(32, "platform");

check(
  "bothOf, with the tenant's key in a service",
  harnessOf((keyId, key) => bothOf({ keyId, platform: platform(), tenant: key })),
);
check(
  "bothOf, with the platform's key in a service",
  harnessOf((keyId, key) => bothOf({ keyId, platform: key, tenant: platform() })),
);
check(
  "threshold, of a key in a service and one here",
  harnessOf((keyId, key) => threshold({ keyId, needed: 2, providers: [platform(), key] })),
);
check("bothOf, of the tenant's key pair", {
  bindsContext: true,
  secrets: [PLATFORM],
  flips: "each-byte",
  open: () => bothOf({ keyId: "acme", platform: platform(), tenant: pair("t-1") }),
  openOther: () => bothOf({ keyId: "acme2", platform: platform(), tenant: pair("t-2") }),
  withEmptyEnvironment,
});

function check(provider: string, harness: ConformanceHarness): void {
  describe(provider, () => {
    for (const { name, run } of conformance(harness)) test(name, run);
  });
}

function pair(keyId: string): KeyProvider {
  const privateKey = noise(32, keyId);
  return localKeyPair({ keyId, privateKey, publicKey: engine.x25519.keyPair(privateKey).publicKey });
}

function platform(): KeyProvider {
  return localKey({ keyId: "platform-1", key: PLATFORM });
}

/** The toy service is the backend: its rotations, failures and calls are those of the composite. The other key is in this process. */
function harnessOf(open: (keyId: string, key: KeyProvider) => KeyProvider): ConformanceHarness {
  const service = new ToyKeyService();
  const toy = toyHarness(service);
  let versions = 1;
  return {
    ...toy,
    hostileKeyIds: ["both:acme", `both:acme:${"0".repeat(63)}`, `both:acme:${"A".repeat(64)}`, `both:acme2:${"0".repeat(64)}`],
    secrets: [PLATFORM, ...(toy.secrets ?? [])],
    open: () => open("acme", toyKey(service, "orders")),
    openOther: () => open("acme-2", toyKey(service, "invoices")),
    openOneWay: () => open("acme", toyKey(service, ONE_WAY_KEY)),
    rotate() {
      service.addVersion("orders");
      versions++;
    },
    expire: () => service.expire("orders", versions - 1),
  };
}
