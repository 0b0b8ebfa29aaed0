import { expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { RoundTrips } from "../../../src/core/contracts/round-trips.ts";
import { deferred } from "../../support/deferred.ts";
import { refusal } from "../../support/refusal.ts";

const copied = async (dek: Uint8Array): Promise<Uint8Array> => dek.slice();

test("a trial is made once for each name, also by many at once", async () => {
  const trips = new RoundTrips();
  const gate = deferred();
  let trials = 0;
  const trial = async (dek: Uint8Array): Promise<Uint8Array> => {
    trials++;
    await gate.promise;
    return dek.slice();
  };
  const all = Promise.all(["a", "a", "b", "a"].map((name) => trips.prove(name, trial)));
  gate.resolve();
  await all;
  await trips.prove("a", trial);
  expect(trials).toBe(2);
  expect([trips.isProven("a"), trips.isProven("c")]).toEqual([true, false]);
});

test("the data key of a trial is 32 random bytes, and wiped after it", async () => {
  const trips = new RoundTrips();
  const given: Uint8Array[] = [];
  const returned: Uint8Array[] = [];
  for (const name of ["a", "b"]) {
    await trips.prove(name, async (dek) => {
      given.push(dek);
      returned.push(dek.slice());
      return returned.at(-1) ?? dek;
    });
  }
  expect(given.map(({ length }) => length)).toEqual([32, 32]);
  for (const bytes of [...given, ...returned]) expect(Buffer.from(bytes).every((byte) => byte === 0)).toBe(true);
});

test.each<[string, (dek: Uint8Array) => Promise<Uint8Array>]>([
  ["another data key", async () => new Uint8Array(32).fill(1)],
  ["a shorter one", async (dek) => dek.slice(0, 31)],
  ["a longer one", async (dek) => Uint8Array.of(...dek, 0)],
  ["the very array that it was given", async (dek) => dek],
  ["what it changed the data key to", async (dek) => dek.fill(7).slice()],
])("a trial that gives back %s has failed, and is made again", async (_what, trial) => {
  const trips = new RoundTrips();
  expect(await refusal(() => trips.prove("a", trial))).toMatchObject({ code: "provider-failure", detail: "no-round-trip" });
  expect(trips.isProven("a")).toBe(false);
  await trips.prove("a", copied);
  expect(trips.isProven("a")).toBe(true);
});

test("a trial's own failure arrives as it is, and proves nothing", async () => {
  const trips = new RoundTrips();
  const failure = new EnvelockError("unavailable", "away");
  expect(await refusal(() => trips.prove("a", () => Promise.reject(failure)))).toBe(failure);
  await trips.prove("a", copied);
  trips.forget("a");
  expect(trips.isProven("a")).toBe(false);
});
