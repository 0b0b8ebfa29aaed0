import { expect, test } from "vitest";
import { SingleFlights, singleFlight } from "../../../src/core/base/single-flight.ts";
import { deferred } from "../../support/deferred.ts";

test("all that ask while a flight lasts share it, by key; the next to ask starts another", async () => {
  const flights = new SingleFlights<string, number>();
  const gate = deferred();
  let started = 0;
  const start = async (): Promise<number> => {
    const number = ++started;
    await gate.promise;
    return number;
  };
  const together = [flights.run("a", start), flights.run("a", start), flights.run("b", start)];
  expect([flights.size, flights.has("a"), flights.has("c")]).toEqual([2, true, false]);
  gate.resolve();
  expect(await Promise.all(together)).toEqual([1, 1, 2]);
  expect(flights.size).toBe(0);
  expect(await flights.run("a", start)).toBe(3);
});

test("a failure goes to all, also one that is thrown at once, and is not kept", async () => {
  let calls = 0;
  const once = singleFlight(() => {
    calls++;
    if (calls === 1) throw new Error("at once");
    return Promise.resolve(calls);
  });
  const both = await Promise.allSettled([once(), once()]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await once()).toBe(2);
});

test("a caller's abort ends that caller's wait, not the flight; a caller that is aborted already does not wait", async () => {
  const gate = deferred();
  const once = singleFlight(async () => {
    await gate.promise;
    return "landed";
  });
  const controller = new AbortController();
  const left = once({ signal: controller.signal });
  const stays = once();
  controller.abort("left");
  await expect(left).rejects.toBe("left");
  await expect(once({ signal: AbortSignal.abort("gone") })).rejects.toBe("gone");
  gate.resolve();
  expect(await stays).toBe("landed");
});

test("a detached flight still serves its callers, and ends none that started after it", async () => {
  const flights = new SingleFlights<string, number>();
  const gates = [deferred(), deferred()];
  let started = 0;
  const start = async (): Promise<number> => {
    const number = started++;
    await gates[number]?.promise;
    return number;
  };
  const first = flights.run("a", start);
  flights.detach("a");
  const second = flights.run("a", start);
  gates[0]?.resolve();
  expect(await first).toBe(0);
  expect(flights.has("a")).toBe(true);
  gates[1]?.resolve();
  expect(await second).toBe(1);
});
