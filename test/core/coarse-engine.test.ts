import { afterEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import type { CoarseEngine, CoarseXaes } from "../../src/core/crypto/engine/engine.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { world } from "../fields/set-up.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { collect, piecesOf } from "../support/pieces.ts";
import { refusalCode } from "../support/refusal.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("a coarse engine", () => {
  test("is asked first for every construction, and what it declines goes the fine way", async () => {
    const { asked } = use(declining());
    const key = DataKey.generate();
    expectSameBytes(key.decryptToken(key.encryptToken(noise(9))), noise(9));
    const email = await world().open().field({ table: "users", column: "email" });
    expect(email.decrypt(email.encrypt("ada@example.org"))).toBe("ada@example.org");
    const keyring = new Keyring(kek());
    expectSameBytes(await keyring.decrypt(await keyring.encrypt(noise(70_000))), noise(70_000));
    const sealed = await collect(keyring.encryptPieces(piecesOf(noise(70_000), [10_000])));
    expectSameBytes(await collect(keyring.decryptPieces(piecesOf(sealed, [10_000]))), noise(70_000));
    expect([...asked].sort()).toEqual(
      ["expand", "open", "openBody", "openChunks", "openText", "sealBody", "sealChunks", "sealFresh", "sealText", "xaes"].sort(),
    );
  });

  test("that declines keys is never asked for their values", () => {
    const { asked } = use({ ...declining(), xaes: () => undefined });
    const key = DataKey.generate();
    expectSameBytes(key.decryptToken(key.encryptToken(noise(9))), noise(9));
    expect([...asked]).toEqual(["expand", "xaes"]);
  });

  test("that refuses is believed: the fine way is not tried", async () => {
    const key = DataKey.from(noise(32));
    const token = key.encryptToken(noise(9));
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(noise(9));
    const refuse = { open: () => false as const, openText: () => false as const };
    use({ ...declining(), xaes: () => ({ ...decliningXaes(), ...refuse }), openBody: () => false });
    const fine = vi.spyOn(engine.gcm, "open");
    expect(await refusalCode(() => DataKey.from(noise(32)).decryptToken(token))).toBe("authentication-failed");
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("authentication-failed");
    expect(fine.mock.calls.length).toBeLessThanOrEqual(1); // of the KEK, which was made before
  });

  test("destroys its keys with the data key", () => {
    const destroy = vi.fn();
    const keys: Uint8Array[] = [];
    use({
      ...declining(),
      xaes(key) {
        keys.push(key);
        return { ...decliningXaes(), sealFresh: () => 49, destroy };
      },
    });
    const key = DataKey.generate();
    key.encryptToken(noise(9));
    key.destroy();
    expect(destroy).toHaveBeenCalledOnce();
    expect(keys).toHaveLength(1);
    expect(keys.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });
});

/** Makes the engine coarse until the mocks are restored, and keeps the names of the operations that it was asked for. */
function use(coarse: CoarseEngine): { readonly asked: ReadonlySet<string> } {
  const asked = new Set<string>();
  const watched = <T extends object>(operations: T): T =>
    new Proxy(operations, {
      get(target, name) {
        asked.add(String(name));
        const operation: unknown = Reflect.get(target, name);
        if (name !== "xaes" || typeof operation !== "function") return operation;
        return (key: Uint8Array) => {
          const cipher: unknown = operation(key);
          return typeof cipher === "object" && cipher !== null ? watched(cipher) : undefined;
        };
      },
    });
  vi.spyOn(engine, "coarse", "get").mockReturnValue(watched(coarse));
  return { asked };
}

function declining(): CoarseEngine {
  const no = (): undefined => undefined;
  return { randomKey: no, xaes: decliningXaes, expand: no, sealBody: no, openBody: no, sealChunks: no, openChunks: no };
}

function decliningXaes(): CoarseXaes {
  const no = (): undefined => undefined;
  return { sealFresh: no, dangerSealWithNonce: no, open: no, sealText: no, openText: no, destroy: no };
}
