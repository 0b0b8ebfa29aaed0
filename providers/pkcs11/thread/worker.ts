import { parentPort } from "node:worker_threads";
import { wipe } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { Pkcs11Pin } from "../options.ts";
import { ThisThreadKeys, type TokenKeys } from "../token-keys.ts";
import type { CallResult, KeysCall, ThreadAnswer, ThreadOrder } from "./messages.ts";
import { receivedError, sentError } from "./sent-errors.ts";

// The entry of the thread in which one library works. A call that blocks there does not hold up the main thread.

const users = new Map<number, TokenKeys>();
const questions = new Map<number, { resolve(pin: string): void; reject(error: unknown): void }>();
let lastQuestion = 0;

function answer(message: ThreadAnswer): void {
  parentPort?.postMessage(message);
}

function pinOf(user: number): Pkcs11Pin {
  return () =>
    new Promise((resolve, reject) => {
      questions.set(++lastQuestion, { resolve, reject });
      answer({ kind: "ask-pin", user, question: lastQuestion });
    });
}

async function perform(keys: TokenKeys, what: KeysCall): Promise<CallResult> {
  switch (what.method) {
    case "current":
      return await keys.current(what.nowMs);
    case "wrap":
      return await keys.wrap(what.target, what.dek, what.aad).finally(() => wipe(what.dek));
    case "unwrap":
      return await keys.unwrap(what.keyId, what.alg, what.wrapped, what.aad);
    case "random":
      return await keys.random(what.count);
    case "close":
      return await keys.close().then(() => undefined);
  }
}

async function call({ user, call, what }: ThreadOrder & { readonly kind: "call" }): Promise<void> {
  const keys = users.get(user);
  if (what.method === "close") users.delete(user);
  try {
    if (keys === undefined) throw new EnvelockError("closed", "this PKCS#11 token has been closed");
    const result = await perform(keys, what);
    answer({ kind: "done", call, result });
    if (result instanceof Uint8Array) wipe(result);
  } catch (error) {
    answer({ kind: "failed", call, error: sentError(error) });
  }
}

parentPort?.on("message", (order: ThreadOrder) => {
  if (order.kind === "call") return void call(order);
  if (order.kind === "open") {
    users.set(order.user, ThisThreadKeys.open(order.options, order.hasPin ? pinOf(order.user) : undefined));
    return;
  }
  const question = questions.get(order.question);
  questions.delete(order.question);
  if (order.kind === "pin") question?.resolve(order.pin);
  else question?.reject(receivedError(order.error));
});
