import { copyOf } from "../../src/core/base/bytes.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { check, failsWith, failureOf } from "../../src/core/contracts/conformance-checks.ts";
import type { KeyProvider, Recipient } from "../../src/core/contracts/key-provider.ts";
import { type Bench, bringAbout, type Case, newDataKey, opensTo, optionsFor, unwrap, wrap } from "./checks.ts";
import type { BackendFailure, CallLimits, ConformanceHarness, HeldCall, Settled } from "./harness.ts";

/** Cases for a provider with a backend: its failures, the number of its calls, and an abort while it works. */
export function backendCases({ calls, failures = {}, hold, maxCalls = ONE_CALL_EACH }: ConformanceHarness): readonly Case[] {
  const cases: Case[] = [{ name: "an aborted signal stops it before any call", run: stopsBeforeCall }];
  if (hold !== undefined) cases.push({ name: "an abort stops a call under way", run: (bench) => stopsCall(bench, hold, maxCalls) });
  if (calls !== undefined) cases.push({ name: "no more calls than declared", run: (bench) => countsCalls(bench, calls, maxCalls) });
  for (const [code, failure] of Object.entries(failures)) {
    const what = typeof failure === "function" ? "with its cause" : "without a cause";
    cases.push({ name: `${code} arrives from unwrap ${what}`, run: (bench) => failsUnwrap(bench, code, failure) });
    if (maxCalls.wrap > 0) cases.push({ name: `${code} arrives from wrap ${what}`, run: (bench) => failsWrap(bench, code, failure) });
  }
  return cases;
}

async function stopsBeforeCall({ open, harness }: Bench): Promise<void> {
  const provider = await open();
  const recipient = await wrap(provider, newDataKey());
  const before = harness.calls?.();
  const reason = new Error("the caller's reason");
  for (const { name, run } of operationsOf(provider, recipient)) {
    const failure = await failureOf(() => run(AbortSignal.abort(reason)), `${name} with an aborted signal`);
    check(failure === reason, `${name} must fail with the signal's own reason`);
  }
  check(harness.calls?.() === before, "an aborted signal must stop an operation before it calls the backend");
}

async function stopsCall({ open }: Bench, hold: () => Settled<HeldCall>, maxCalls: CallLimits): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const recipient = await wrap(provider, dek);
  for (const { name, run } of operationsOf(provider, recipient)) {
    await run(new AbortController().signal); // first, so that the held answer is that of the operation and not of a start-up
    if (maxCalls[name] > 0) await stopsHeldCall(name, run, await hold());
  }
  await opensTo(dek, provider, recipient, "unwrap after one that was aborted");
}

async function stopsHeldCall(name: string, run: (signal: AbortSignal) => Promise<unknown>, { arrived, release }: HeldCall): Promise<void> {
  const controller = new AbortController();
  const reason = new Error("the caller's reason");
  let isSettled = false;
  const outcome = failureOf(() => run(controller.signal), `${name}, aborted while the backend was at it,`).finally(() => {
    isSettled = true;
  });
  await Promise.race([arrived, outcome.catch(() => undefined)]);
  controller.abort(reason);
  for (let turn = 0; turn < MAX_TURNS && !isSettled; turn++) await nextTurn();
  const stopped = isSettled;
  release();
  check((await outcome) === reason, `${name} must fail with the signal's own reason`);
  check(stopped, `${name} must not wait for the backend once its signal has aborted`);
}

async function countsCalls({ open }: Bench, calls: () => number, maxCalls: CallLimits): Promise<void> {
  const provider = await open();
  const recipient = await wrap(provider, newDataKey());
  const { signal } = new AbortController();
  for (const { name, run } of operationsOf(provider, recipient)) {
    await run(signal);
    const before = calls();
    for (let round = 0; round < ROUNDS; round++) await run(signal);
    const made = calls() - before;
    check(made <= ROUNDS * maxCalls[name], `${ROUNDS} times ${name} made ${made} calls, declared are at most ${maxCalls[name]} each`);
  }
}

/** A failure that hits the first operation of a new provider, then a later one. The operations after each must succeed. */
async function failsUnwrap({ open }: Bench, code: string, failure: BackendFailure): Promise<void> {
  const dek = newDataKey();
  const recipient = await wrap(await open(), dek);
  const provider = await open();
  for (const when of ["first", "later"]) {
    await bringAbout(failure);
    checkCause(await failsWith(code, () => unwrap(provider, recipient), `the ${when} unwrap, when the backend fails,`), failure);
    await opensTo(dek, provider, recipient, "unwrap after a failure that has passed");
  }
}

async function failsWrap({ open }: Bench, code: string, failure: BackendFailure): Promise<void> {
  const provider = await open();
  for (const when of ["first", "later"]) {
    await bringAbout(failure);
    checkCause(await failsWith(code, () => wrap(provider, newDataKey()), `the ${when} wrap, when the backend fails,`), failure);
    const dek = newDataKey();
    await opensTo(dek, provider, await wrap(provider, dek), "wrap after a failure that has passed");
  }
}

function checkCause({ cause, code }: EnvelockError, failure: BackendFailure): void {
  if (typeof failure === "function") {
    check(cause !== undefined && !(cause instanceof EnvelockError), `${code} must carry the backend's own error as its cause`);
  } else {
    check(cause === undefined, `${code} must not carry a made-up cause: the backend raised no error`);
  }
}

interface Operation {
  readonly name: keyof CallLimits;
  run(signal: AbortSignal): Promise<unknown>;
}

function operationsOf(provider: KeyProvider, recipient: Recipient): readonly Operation[] {
  const operations: Operation[] = [
    { name: "wrap", run: (signal) => provider.wrap(newDataKey(), optionsFor(provider, { signal })) },
    {
      name: "unwrap",
      run: (signal) => provider.unwrap({ ...recipient, wrapped: copyOf(recipient.wrapped) }, optionsFor(provider, { signal })),
    },
  ];
  if (provider.current !== undefined) operations.push({ name: "current", run: async (signal) => await provider.current?.({ signal }) });
  return operations;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

const ONE_CALL_EACH: CallLimits = { wrap: 1, unwrap: 1, current: 1 };
const ROUNDS = 3;
/** Enough for any error to travel up through a client. Only a provider that ignores its signal uses them up. */
const MAX_TURNS = 200;
