import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { attributed, EnvelockError, type ErrorCode, isDeliberateRefusal } from "../../../src/core/base/errors.ts";
import { refusal } from "../../support/refusal.ts";

const NATIVE = Object.assign(new Error("connect failed"), { code: "ECONNREFUSED", secret: "s3cret" });

function full(): EnvelockError {
  const inner = new EnvelockError("unavailable", "down", { cause: NATIVE, retryAfterMs: 5 });
  const cause = new AggregateError([inner, "a string"], "several");
  return new EnvelockError("provider-failure", "none could", {
    cause,
    retryable: true,
    hint: "Try later.",
    detail: "firewall",
    whose: "tenant",
    tenant: "acme",
  });
}

test("JSON keeps code and message of an error and of its causes, and nothing else of a native one", () => {
  const plain: unknown = JSON.parse(JSON.stringify(full()));
  expect(plain).toEqual({
    name: "EnvelockError",
    code: "provider-failure",
    message: "none could",
    retryable: true,
    hint: "Try later.",
    detail: "firewall",
    whose: "tenant",
    tenant: "acme",
    cause: {
      name: "AggregateError",
      message: "several",
      errors: [
        {
          name: "EnvelockError",
          code: "unavailable",
          message: "down",
          retryable: true,
          retryAfterMs: 5,
          cause: { name: "Error", message: "connect failed", code: "ECONNREFUSED" },
        },
        { name: "string", message: "a string" },
      ],
    },
  });
});

test("a cause whose members throw when they are read hides nothing of the error", () => {
  const cause = Object.defineProperty(new Error("c"), "message", {
    get() {
      throw new Error("inner");
    },
  });
  expect(new EnvelockError("unavailable", "down", { cause }).toJSON()).toMatchObject({
    code: "unavailable",
    message: "down",
    cause: { name: "Error", message: "" },
  });
});

test("an error is rebuilt from JSON, from structured clone and from a worker thread's message", async () => {
  const error = full();
  for (const plain of [JSON.parse(JSON.stringify(error)), structuredClone(error.toJSON()), await throughThread(error.toJSON())]) {
    const rebuilt = EnvelockError.from(plain);
    expect(rebuilt).toBeInstanceOf(EnvelockError);
    expect(rebuilt.toJSON()).toEqual(error.toJSON());
    expect(rebuilt.cause).toBeInstanceOf(AggregateError);
  }
  expect(EnvelockError.from(error)).toBe(error);
});

test.each([
  undefined,
  null,
  "text",
  new Error("other"),
  structuredClone(full()),
  { ...full().toJSON(), code: "no-such-code" },
  { ...full().toJSON(), name: "Error" },
  { ...full().toJSON(), message: undefined },
])("what is no plain EnvelockError is refused: %s", async (value) => {
  expect((await refusal(() => EnvelockError.from(value))).code).toBe("invalid-argument");
});

test("an unknown party of a plain error is left out", () => {
  const { whose, tenant } = EnvelockError.from({ ...full().toJSON(), whose: "nobody", tenant: 7 });
  expect([whose, tenant]).toEqual([undefined, undefined]);
});

test("an invalid argument is the caller's, unless a layer knows better", () => {
  expect(new EnvelockError("invalid-argument", "").whose).toBe("caller");
  expect(new EnvelockError("invalid-argument", "", { whose: "tenant" }).whose).toBe("tenant");
  expect(new EnvelockError("access-denied", "").whose).toBeUndefined();
});

test("party and tenant are added to a copy, and replace nothing", () => {
  const shared = new EnvelockError("access-denied", "no", { cause: NATIVE, hint: "Ask.", detail: "policy", retryAfterMs: 3 });
  const told = attributed(shared, { whose: "tenant", tenant: "acme" });
  expect(told.toJSON()).toEqual({ ...shared.toJSON(), whose: "tenant", tenant: "acme" });
  expect([told.cause, told.stack]).toEqual([NATIVE, shared.stack]);
  expect(shared.tenant).toBeUndefined();
  expect(attributed(told, { whose: "vendor", tenant: "other" })).toBe(told);
  expect(attributed(full(), { whose: "service" }).whose).toBe("tenant");
});

test("a cause that contains itself ends", () => {
  const cause = new Error("loop");
  cause.cause = cause;
  const error = new EnvelockError("provider-failure", "failed", { cause });
  expect(JSON.stringify(error).match(/loop/g)?.length).toBe(5);
  expect(EnvelockError.from(error.toJSON()).toJSON()).toEqual(error.toJSON());
});

test("is and instanceof hold across copies and realms, and for nothing else", () => {
  const foreign: unknown = runInNewContext(`
    class EnvelockError extends Error { code = "timeout"; retryable = true; }
    Object.defineProperty(EnvelockError.prototype, Symbol.for("envelock.EnvelockError"), { value: true });
    new EnvelockError("elsewhere")`);
  expect(foreign instanceof Error).toBe(false);
  expect([EnvelockError.is(foreign), foreign instanceof EnvelockError]).toEqual([true, true]);
  class Special extends EnvelockError {}
  expect([
    new Special("closed", "x") instanceof Special,
    full() instanceof Special,
    new Special("closed", "x") instanceof EnvelockError,
  ]).toEqual([true, false, true]);
  for (const other of [undefined, null, 1, "EnvelockError", {}, new Error("x"), full().toJSON(), EnvelockError.prototype.constructor]) {
    expect([EnvelockError.is(other), other instanceof EnvelockError]).toEqual([false, false]);
  }
});

test("a refusal is deliberate if a key may not be used, and not if it cannot be reached", () => {
  const refusals: ErrorCode[] = ["access-denied", "key-disabled", "key-not-found"];
  for (const code of refusals) {
    expect(isDeliberateRefusal(new EnvelockError(code, ""))).toBe(true);
    expect(isDeliberateRefusal(new EnvelockError(code, "", { retryable: true }))).toBe(false);
  }
  const accidents: ErrorCode[] = ["unavailable", "timeout", "rate-limited", "unwrap-rejected", "authentication-failed", "closed"];
  for (const code of accidents) expect(isDeliberateRefusal(new EnvelockError(code, ""))).toBe(false);
  expect(isDeliberateRefusal(new Error("key-disabled"))).toBe(false);
});

async function throughThread(value: unknown): Promise<unknown> {
  const code = `const { parentPort } = require("node:worker_threads"); parentPort.once("message", (m) => parentPort.postMessage(m));`;
  const worker = new Worker(code, { eval: true });
  try {
    return await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.postMessage(value);
    });
  } finally {
    await worker.terminate();
  }
}
