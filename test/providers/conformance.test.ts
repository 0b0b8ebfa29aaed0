import { expect, test } from "vitest";
import { type ConformanceHarness, conformance } from "../../providers/conformance/index.ts";
import { toyHarness, toyKey } from "./toy/toy-key.ts";
import { ToyKeyService } from "./toy/toy-key-service.ts";

const names = (harness: ConformanceHarness): readonly string[] => conformance(harness).map(({ name }) => name);

test("each member of the harness that is left out leaves out the cases that need it", () => {
  const whole = toyHarness(new ToyKeyService());
  const { rotate: _rotate, expire: _expire, calls: _calls, maxCalls: _maxCalls, failures: _failures, hold: _hold, ...rest } = whole;
  const { withEmptyEnvironment: _environment, openOneWay: _oneWay, ...least } = rest;
  const left = names({ ...least, bindsContext: false });
  expect(left).toMatchInlineSnapshot(`
    [
      "unwrap gives back what wrap took",
      "64 at once do not cross",
      "a recipient is fit to be stored",
      "a randomised wrapping never repeats",
      "current names the version that wraps",
      "a result is 32 bytes in an ArrayBuffer of its own",
      "wiping a result harms nothing",
      "wrap leaves the data key as it was",
      "wrap keeps no reference to the data key",
      "unwrap leaves the recipient as it was",
      "another KEK is refused",
      "every flipped bit is refused",
      "truncated and extended bytes are refused",
      "hostile key ids are not owned",
      "hostile key ids reach no backend",
      "foreign algorithms reach no backend",
      "an aborted signal stops it before any call",
      "close twice is fine and use after close is \`closed\`",
      "closing one provider leaves the others open",
      "no secret in provider or recipient",
      "no secret in errors",
    ]
  `);
  expect(names(whole).filter((name) => !left.includes(name))).toMatchInlineSnapshot(`
    [
      "what wraps also unwraps, or wraps nothing",
      "another context is refused",
      "after a rotation old wraps open",
      "after a rotation new wraps name the new version",
      "a version opens its own wraps alone",
      "an expired version still unwraps",
      "an abort stops a call under way",
      "no more calls than declared",
      "access-denied arrives from unwrap with its cause",
      "access-denied arrives from wrap with its cause",
      "key-disabled arrives from unwrap with its cause",
      "key-disabled arrives from wrap with its cause",
      "key-not-found arrives from unwrap with its cause",
      "key-not-found arrives from wrap with its cause",
      "rate-limited arrives from unwrap with its cause",
      "rate-limited arrives from wrap with its cause",
      "provider-failure arrives from unwrap with its cause",
      "provider-failure arrives from wrap with its cause",
      "unavailable arrives from unwrap with its cause",
      "unavailable arrives from wrap with its cause",
      "timeout arrives from unwrap without a cause",
      "timeout arrives from wrap without a cause",
      "an empty environment is enough",
    ]
  `);
});

test("names are unique: a runner may key by them", () => {
  const all = names(toyHarness(new ToyKeyService()));
  expect(new Set(all).size).toBe(all.length);
});

test("a wrap that needs no backend is not asked to fail with it", () => {
  const harness = toyHarness(new ToyKeyService());
  const local = names({ ...harness, maxCalls: { wrap: 0, unwrap: 1, current: 0 } });
  expect(local.filter((name) => name.includes("arrives from"))).toEqual(
    names(harness).filter((name) => name.includes("arrives from unwrap")),
  );
});

test("a harness that contradicts itself is refused", () => {
  const { rotate: _rotate, ...fixed } = toyHarness(new ToyKeyService());
  const { calls: _calls, ...uncounted } = toyHarness(new ToyKeyService());
  expect(() => conformance(fixed)).toThrow(expect.objectContaining({ code: "invalid-argument" }));
  expect(() => conformance(uncounted)).toThrow(expect.objectContaining({ code: "invalid-argument" }));
});

test("a case closes what it opened, also when it fails", async () => {
  let opened = 0;
  let closed = 0;
  const harness = toyHarness(new ToyKeyService(), (service, key) => {
    opened++;
    const sound = toyKey(service, key);
    return {
      ...sound,
      wrap: async () => await Promise.reject(new Error("wrap is broken")),
      async close() {
        closed++;
      },
    };
  });
  let failed = 0;
  for (const { run } of conformance(harness)) await run().catch(() => failed++);
  expect(failed).toBeGreaterThan(0);
  expect(opened).toBeGreaterThan(0);
  expect(closed).toBeGreaterThanOrEqual(opened);
});

test("a harness whose wrapping binds no context cannot let a service ignore one", () => {
  const harness = { ...toyHarness(new ToyKeyService()), bindsContext: false, ignoreContext: () => () => undefined };
  expect(() => conformance(harness)).toThrow("`ignoreContext` needs `bindsContext`");
});
