import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import { kek } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const fail = (): never => {
  throw new Error("a listener's own fault");
};
const reject = async (): Promise<never> => fail();
const span = async <T>(_: string, run: (finish: () => void) => Promise<T>): Promise<T> => await run(fail);

describe("a listener that fails keeps no call from its result, and the process from nothing", () => {
  // an unhandled rejection fails this file
  test.each<[string, Omit<KeyringOptions, "wrapWith">]>([
    ["onEvent that throws", { onEvent: fail }],
    ["onEvent that rejects", { onEvent: untyped(reject) }],
    ["onEvent that gives a promise of another realm", { onEvent: untyped(() => runInNewContext("Promise.reject(new Error())")) }],
    ["record that throws", { telemetry: { span, record: fail } }],
    ["record that rejects", { telemetry: { span, record: untyped(reject) } }],
    ["span that throws before it runs anything", { telemetry: { span: fail, record: () => undefined } }],
    ["span that rejects afterwards", { telemetry: { span: (_, run) => run(fail).then(fail), record: () => undefined } }],
    ["span that runs nothing", { telemetry: { span: untyped(async () => undefined), record: () => undefined } }],
    ["span that runs twice", { telemetry: { span: (_, run) => run(fail).then(() => run(fail)), record: () => undefined } }],
  ])("%s", async (_, options) => {
    const keyring = new Keyring({ wrapWith: [kek()], ...options });
    const envelope = await keyring.encrypt(Uint8Array.of(7));
    expect(await keyring.decrypt(envelope)).toEqual(Uint8Array.of(7));
    expect(await refusalCode(() => keyring.decrypt(envelope, { context: { row: "1" } }))).toBe("authentication-failed");
    await new Promise((resolve) => setTimeout(resolve));
  });
});
