import { expect, test } from "vitest";
import { Keyring, lifeOf } from "../../src/core/keyring/keyring.ts";
import { kek } from "../support/keks.ts";

test("forget and close reach those that keep data keys beside the keyring, also after one that throws", async () => {
  const keyring = new Keyring({ wrapWith: [kek()], cache: {} });
  await keyring.decrypt(await keyring.encrypt(new Uint8Array(1)));
  const life = lifeOf(keyring);
  const heard: unknown[] = [];
  const failing = (): number => {
    throw new Error("a listener's own fault");
  };
  life.watch({ forget: failing, oldestMs: () => undefined });
  const stop = life.watch({ forget: (filter) => heard.push(filter), oldestMs: () => 2 ** 40 });
  expect(keyring.status().oldestDataKeyMs).toBe(2 ** 40);
  life.onClose(() => {
    throw new Error("a listener's own fault");
  });
  life.onClose(() => heard.push("closed"));
  expect(keyring.forget({ context: {} })).toBe(2); // one in the cache, one beside it
  stop();
  expect(keyring.status().oldestDataKeyMs).toBe(undefined);
  keyring.forget();
  expect(life.isClosed).toBe(false);
  await keyring.close();
  await keyring.close();
  expect([heard, life.isClosed]).toEqual([[{ context: {} }, "closed"], true]);
});
