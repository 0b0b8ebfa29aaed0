import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { Xaes256Gcm } from "../../src/core/crypto/xaes.ts";
import { DataKey, deriveIndexKey } from "../../src/core/data-key/data-key.ts";
import { DataKeyCache } from "../../src/core/key-source/data-key-cache.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { partDigests } from "../../src/core/stream/part-digest.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { noise } from "../support/arbitraries.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { takeTheFineWay } from "../support/fine-way.ts";
import { collect, piecesOf } from "../support/pieces.ts";

// Secrets are watched where they pass: every key that the engine is handed and everything that it derives, by reference. What is public
// (key commitments, the commitment of a body) is known by its place.

const CHUNK = 16384;

beforeEach(takeTheFineWay);
afterEach(() => {
  vi.restoreAllMocks();
});

describe("after destroy() of a data key", () => {
  test("the key itself and all that was derived from it is zero", () => {
    const ledger = watchSecrets();
    const key = DataKey.generate({ tenant: "acme" });
    useEverything(key);
    expect(ledger.left().length).toBeGreaterThanOrEqual(3); // the key, an index key, and keys made ahead
    key.destroy();
    expect(ledger.left()).toEqual([]);
  });

  test("the index keys that were handed out are zero", () => {
    const key = DataKey.from(noise(32));
    const indexKeys = ["a", "b", "c"].map((name) => deriveIndexKey(key, { name }));
    expect(indexKeys.some(isZero)).toBe(false);
    key.destroy();
    expect(indexKeys.every(isZero)).toBe(true);
  });

  test("the keys of single tokens that were made ahead are zero", () => {
    const ahead = watchBlocks();
    const key = DataKey.from(noise(32));
    for (let count = 0; count < 30; count++) key.encryptToken(noise(5));
    expect(ahead().some((block) => !isZero(block))).toBe(true);
    key.destroy();
    expect(ahead().filter((block) => !isZero(block))).toEqual([]);
  });

  test("each key made ahead is zero once its token is made", () => {
    const ahead = watchBlocks();
    const cipher = new Xaes256Gcm(noise(32));
    for (let count = 0; count < 1 + 4 + 16; count++) cipher.sealFresh(noise(3), noise(5), new Uint8Array(100), 0);
    expect(ahead().filter((block) => !isZero(block))).toEqual([]);
  });

  test("the key of every sealing and opening is zero once that is done", () => {
    const keys: Uint8Array[] = [];
    const { seal, open } = engine.gcm;
    vi.spyOn(engine.gcm, "seal").mockImplementation((key, ...rest) => seal(remember(keys, key), ...rest));
    vi.spyOn(engine.gcm, "open").mockImplementation((key, ...rest) => open(remember(keys, key), ...rest));
    const cipher = new Xaes256Gcm(noise(32));
    const sealed = new Uint8Array(45);
    const calls = [
      () => cipher.sealFresh(noise(3), noise(5), sealed, 0),
      () => cipher.open(noise(3), sealed),
      () => cipher.open(noise(4), sealed),
      () => cipher.dangerSealWithNonce(noise(24), noise(3), noise(5), sealed, 24),
    ];
    for (const [at, call] of calls.entries()) {
      call();
      expect(keys).toHaveLength(at + 1);
      expect(keys.at(-1)?.every((byte) => byte === 0)).toBe(true);
    }
  });

  test("all that a token cipher gave to its block cipher is zero, but for blocks of many nonces", () => {
    const given: Uint8Array[] = [];
    const destroyed = vi.fn();
    const { blockCipher } = engine;
    vi.spyOn(engine, "blockCipher").mockImplementation((key) => {
      const { encrypt } = blockCipher(key);
      return { encrypt: (blocks) => encrypt(remember(given, blocks)), destroy: destroyed };
    });
    const cipher = new Xaes256Gcm(noise(32));
    cipher.dangerSealWithNonce(noise(24), noise(3), noise(5), new Uint8Array(45), 24);
    expect(given.every(isZero)).toBe(false);
    cipher.destroy();
    expect(given.every(isZero)).toBe(true);
    expect(destroyed).toHaveBeenCalledOnce();
  });

  test("a token cipher opens nothing any more: its masks are zero", () => {
    const cipher = new Xaes256Gcm(noise(32));
    const sealed = new Uint8Array(45);
    cipher.sealFresh(noise(3), noise(5), sealed, 0);
    expect(cipher.open(noise(3), sealed)).toEqual(noise(5));
    cipher.destroy();
    expect(cipher.open(noise(3), sealed)).toBeUndefined();
  });

  test("a deterministic cipher opens nothing any more: its subkeys are zero", () => {
    const siv = engine.siv(noise(64));
    const sealed = siv.seal([noise(3)], noise(5));
    expect(siv.open([noise(3)], sealed)).toEqual(noise(5));
    siv.destroy();
    expect(siv.open([noise(3)], sealed)).toBeUndefined();
  });

  test("it is the data key that destroys both ciphers", () => {
    const destroyed: string[] = [];
    const { siv, blockCipher } = engine;
    vi.spyOn(engine, "siv").mockImplementation((key) => ({ ...siv(key), destroy: () => destroyed.push("siv") }));
    vi.spyOn(engine, "blockCipher").mockImplementation((key) => ({ ...blockCipher(key), destroy: () => destroyed.push("blocks") }));
    const key = DataKey.generate();
    useEverything(key);
    key.destroy();
    key.destroy();
    expect(destroyed.sort()).toEqual(["blocks", "siv"]);
  });
});

describe("data keys of a keyring", () => {
  test("are zero after each call, where nothing is kept", async () => {
    const ledger = watchSecrets();
    const keyring = new Keyring({ wrapWith: [toyKek()], context: { tenant: "acme" } });
    const envelope = await keyring.encrypt(noise(3 * CHUNK));
    expect(ledger.left()).toEqual([]);
    await keyring.decrypt(envelope);
    await keyring.rewrap(envelope);
    expect(ledger.left()).toEqual([]);
    expect(ledger.seen).toBeGreaterThan(5);
  });

  test("that `reuse` keeps are zero after close()", async () => {
    const ledger = watchSecrets();
    const keyring = new Keyring({ wrapWith: [toyKek()], reuse: { maxUses: 10, maxBytes: 1e6, maxAgeMs: 60_000 } });
    await keyring.encrypt(noise(5));
    expect(ledger.left().length).toBeGreaterThan(0);
    await keyring.close();
    expect(ledger.left()).toEqual([]);
  });

  test("that `reuse` keeps are zero once they are used up", async () => {
    const ledger = watchSecrets();
    const keyring = new Keyring({ wrapWith: [toyKek()], reuse: { maxUses: 2, maxBytes: 1e6, maxAgeMs: 60_000 } });
    await keyring.encrypt(noise(5));
    const first = ledger.left();
    for (let count = 0; count < 4; count++) await keyring.encrypt(noise(5));
    expect(first.every(isZero)).toBe(true);
    await keyring.close();
  });

  test.each<[string, (keyring: Keyring, clock: ReturnType<typeof fakeClock>) => unknown]>([
    ["forget()", (keyring) => keyring.forget()],
    ["close()", (keyring) => keyring.close()],
    ["an eviction", async (keyring) => await keyring.decrypt(await new Keyring(toyKek()).encrypt(noise(3)))],
    ["their time", (_, clock) => clock.advance(2000)],
  ])("that `cache` keeps are zero after %s", async (_, end) => {
    const clock = fakeClock();
    const keyring = new Keyring({ wrapWith: [toyKek()], cache: { maxEntries: 1, maxAgeMs: 1000 }, clock });
    const envelope = await new Keyring(toyKek()).encrypt(noise(5));
    const ledger = watchSecrets();
    await keyring.decrypt(envelope);
    const kept = ledger.left();
    expect(kept.length).toBeGreaterThan(0);
    await end(keyring, clock);
    expect(kept.every(isZero)).toBe(true);
  });

  test("that a shared cache keeps are zero after its forget()", async () => {
    const cache = new DataKeyCache({ maxEntries: 10, maxAgeMs: 60_000 });
    const keyring = new Keyring({ wrapWith: [toyKek()], cache });
    const envelope = await keyring.encrypt(noise(5));
    const ledger = watchSecrets();
    await keyring.decrypt(envelope);
    expect(ledger.left().length).toBeGreaterThan(0);
    cache.forget();
    expect(ledger.left()).toEqual([]);
  });

  test("that a caller was given are zero after its destroy()", async () => {
    const ledger = watchSecrets();
    const keyring = new Keyring(toyKek());
    const { dataKey, keyRecord } = await keyring.createDataKey();
    const again = await keyring.unwrapDataKey(keyRecord);
    for (const key of [dataKey, again]) {
      useEverything(key);
      key.destroy();
    }
    expect(ledger.left()).toEqual([]);
  });

  test("that `DataKeys` keeps are zero after its close()", async () => {
    const ledger = watchSecrets();
    const keys = new DataKeys({ keyring: new Keyring(toyKek()), store: memoryStore() });
    const field = await keys.field({ table: "t", column: "c", blindIndex: {} });
    field.encrypt("text");
    field.blindIndex("text");
    expect(ledger.left().length).toBeGreaterThan(0);
    await keys.close();
    expect(ledger.left()).toEqual([]);
  });
});

describe("the keys of a body", () => {
  const plaintext = noise(3 * CHUNK + 7);

  test("are zero once a stream has ended, was left early, or failed", async () => {
    const keyring = new Keyring(toyKek());
    const envelope = await keyring.encrypt(plaintext);
    const ledger = watchSecrets();
    await collect(keyring.encryptPieces(piecesOf(plaintext)));
    await collect(keyring.decryptPieces(piecesOf(envelope)));
    for await (const _ of keyring.decryptPieces(piecesOf(envelope))) break;
    const early = keyring.encryptPieces(piecesOf(plaintext));
    await early.header();
    await early.return();
    await collect(keyring.decryptPieces(piecesOf(envelope.subarray(0, -1)))).catch(() => undefined);
    expect(ledger.seen).toBeGreaterThan(10);
    expect(ledger.left()).toEqual([]);
  });

  test("are zero once a blob or an upload is closed, and not before", async () => {
    const keyring = new Keyring(toyKek());
    const envelope = await keyring.encrypt(plaintext);
    const ledger = watchSecrets();
    const blob = await keyring.openSeekable({ size: envelope.length, read: async (start, end) => envelope.slice(start, end) });
    await blob.read(0, 5);
    const upload = await keyring.startUpload({ plaintextBytes: 5, partBytes: CHUNK });
    await upload.part(0, noise(5));
    expect(ledger.left().length).toBeGreaterThanOrEqual(2);
    blob.close();
    upload.close();
    expect(ledger.left()).toEqual([]);
  });
});

describe("partDigests", () => {
  test.each<readonly [what: string, pieces: () => AsyncGenerator<Uint8Array>, refused: boolean]>([
    [
      "whose pieces throw",
      async function* () {
        yield noise(40);
        throw new RangeError("the disk is gone");
      },
      true,
    ],
    [
      "that ends",
      async function* () {
        yield noise(40);
      },
      false,
    ],
  ])("%s leaves nothing of the plaintext in its buffer", async (_what, pieces, refused) => {
    const targets = new Set<Uint8Array>();
    const { set } = Uint8Array.prototype;
    vi.spyOn(Uint8Array.prototype, "set").mockImplementation(function (this: Uint8Array, ...given) {
      targets.add(this);
      set.apply(this, given);
    });
    const digests = partDigests(pieces(), CHUNK);
    await (refused ? expect(digests).rejects.toThrow("the disk is gone") : digests);
    const buffers = [...targets].filter(({ length }) => length === CHUNK); // the test runner's own messages are copied meanwhile
    expect(buffers).not.toEqual([]);
    for (const buffer of buffers) expect(isZero(buffer)).toBe(true);
  });
});

function useEverything(key: DataKey): void {
  for (let count = 0; count < 7; count++) key.decryptToken(key.encryptToken(noise(5), { row: "1" }), { row: "1" });
  key.decryptDeterministic(key.encryptDeterministic(noise(5)));
  deriveIndexKey(key, { table: "t", column: "c" });
}

/** A KEK that keeps no secret of its own in the engine. */
function toyKek(): KeyProvider {
  const mixed = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 0x5a);
  return {
    name: "toy",
    owns: (keyId) => keyId === "toy",
    wrap: async (dek) => ({ provider: "toy", keyId: "toy", alg: 1, wrapped: mixed(dek) }),
    unwrap: async ({ wrapped }) => mixed(wrapped),
  };
}

interface Ledger {
  /** How many secrets have passed. */
  readonly seen: number;
  /** The secrets that are not zero now. */
  left(): readonly Uint8Array[];
}

/**
 * Watches every secret that passes the engine, in both directions. Commitments are public and stay, and so is what is digested
 * under a label of the library's own in place of a key.
 */
function watchSecrets(): Ledger {
  const secrets = new Set<Uint8Array>();
  const { hmac, publicHmac, randomKey, chunkCipher, siv, blockCipher } = engine;
  function remembered<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
    secrets.add(bytes);
    return bytes;
  }
  vi.spyOn(engine, "randomKey").mockImplementation((bytes) => remembered(randomKey(bytes)));
  vi.spyOn(engine, "hmac").mockImplementation((hash, key, ...parts) => {
    if (Buffer.from(key).toString("latin1").startsWith("envelock/")) return hmac(hash, key, ...parts);
    return remembered(hmac(hash, remembered(key), ...parts));
  });
  vi.spyOn(engine, "publicHmac").mockImplementation((hash, key, ...parts) => publicHmac(hash, remembered(key), ...parts));
  vi.spyOn(engine, "siv").mockImplementation((key) => siv(remembered(key)));
  vi.spyOn(engine, "chunkCipher").mockImplementation((key, chunks) => {
    remembered(new Uint8Array(key.buffer, key.byteOffset, BODY_SECRET_BYTES)); // the nonce base lies behind the key
    return chunkCipher(key, chunks);
  });
  vi.spyOn(engine, "blockCipher").mockImplementation((key) => {
    const cipher = blockCipher(remembered(key));
    return { ...cipher, encrypt: (blocks) => remembered(cipher.encrypt(blocks)) };
  });
  return {
    get seen() {
      return secrets.size;
    },
    left: () => [...secrets].filter((secret) => !isZero(secret)),
  };
}

/** Watches the blocks that token keys are derived in. */
function watchBlocks(): () => readonly Uint8Array[] {
  const blocks: Uint8Array[] = [];
  const { blockCipher } = engine;
  vi.spyOn(engine, "blockCipher").mockImplementation((key) => {
    const cipher = blockCipher(key);
    return {
      ...cipher,
      encrypt(given) {
        const made = cipher.encrypt(given);
        blocks.push(made);
        return made;
      },
    };
  });
  return () => blocks;
}

function remember(list: Uint8Array[], bytes: Uint8Array): Uint8Array {
  list.push(bytes);
  return bytes;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

const BODY_SECRET_BYTES = 44;
