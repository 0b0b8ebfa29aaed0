import { expect, test } from "vitest";
import { bothOf } from "../../../providers/composite/index.ts";
import { conformance } from "../../../providers/conformance/index.ts";
import { copyOf } from "../../../src/core/base/bytes.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { encodeHalves, parseHalves } from "../../../src/core/format/parts.ts";
import { kek } from "../../support/keks.ts";
import { toyHarness, toyKey } from "../toy/toy-key.ts";
import { ToyKeyService } from "../toy/toy-key-service.ts";

/** A double key with one fault, and a case of the contract that notices it. */
interface Mutant {
  readonly fault: string;
  readonly noticedBy: string;
  change(sound: KeyProvider): Partial<KeyProvider>;
}

const MUTANTS: readonly Mutant[] = [
  {
    fault: "owns whatever begins with its name",
    noticedBy: "hostile key ids are not owned",
    change: ({ owns: _, ...sound }) => ({ ...sound, owns: (keyId) => keyId.startsWith("both:acme") }),
  },
  {
    fault: "owns every double key",
    noticedBy: "another KEK is refused",
    change: () => ({ owns: (keyId) => /^both:[\w.-]+:[0-9a-f]{64}$/.test(keyId) }),
  },
  {
    fault: "takes halves with bytes behind them",
    noticedBy: "truncated and extended bytes are refused",
    change: (sound) => ({
      unwrap: async (recipient, options) => await sound.unwrap({ ...recipient, wrapped: withoutTail(recipient.wrapped) }, options),
    }),
  },
  {
    fault: "names the version of the platform's key alone",
    noticedBy: "after a rotation new wraps name the new version",
    change: (sound) => {
      let first: string | undefined;
      return {
        async wrap(dek, options) {
          const recipient = await sound.wrap(dek, options);
          first ??= recipient.keyId;
          return { ...recipient, keyId: first };
        },
        current: async () => `both:acme:${"0".repeat(64)}`,
      };
    },
  },
  {
    fault: "binds its halves to no context",
    noticedBy: "another context is refused",
    change: (sound) => ({
      wrap: (dek, options) => sound.wrap(dek, { ...options, wrapAad: () => new Uint8Array(0) }),
      unwrap: (recipient, options) => sound.unwrap(recipient, { ...options, wrapAad: () => new Uint8Array(0) }),
    }),
  },
];

test.each(MUTANTS)("a double key that $fault is noticed", async (mutant) => {
  for (const [changed, isNoticed] of [
    [mutant, true],
    [undefined, false],
  ] as const) {
    const service = new ToyKeyService();
    const open = (keyId: string, key: string): KeyProvider => {
      const sound = bothOf({ keyId, platform: kek("platform"), tenant: toyKey(service, key) });
      return { ...sound, ...changed?.change(sound) };
    };
    const harness = { ...toyHarness(service), open: () => open("acme", "orders"), openOther: () => open("globex", "invoices") };
    const found = conformance(harness).find(({ name }) => name === mutant.noticedBy);
    const outcome = await found?.run().then(
      () => false,
      () => true,
    );
    expect(outcome).toBe(isNoticed);
  }
});

/** The bytes up to where two halves end, if some prefix is such. */
function withoutTail(wrapped: Uint8Array): Uint8Array {
  for (let end = wrapped.length; end > 0; end--) {
    const start = copyOf(wrapped.subarray(0, end));
    try {
      return encodeHalves(parseHalves(start));
    } catch {
      // shorter, then
    }
  }
  return wrapped;
}
