import { constants, createPublicKey, publicEncrypt } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CosmosClient,
  EncryptionAlgorithm,
  type EncryptionKeyResolver,
  EncryptionKeyResolverName,
  type EncryptionKeyWrapMetadata,
  KeyEncryptionAlgorithm,
} from "@azure/cosmos";
import { KeyClient } from "@azure/keyvault-keys";
import { afterAll, describe, expect, test } from "vitest";
import { type AzureKey, azureKey } from "../../../providers/azure/index.ts";
import { toBase64Url } from "../../../src/core/base/bytes.ts";
import { inspect } from "../../../src/core/keyring/inspect.ts";
import { cosmosKeyResolver } from "../../../src/integrations/azure-sdk/index.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";

const emulator = await AzureEmulator.start();
afterAll(() => emulator.close());
await emulator.createKey("cosmos", { type: "RSA", bits: 2048 });
const ALGORITHM: string = KeyEncryptionAlgorithm.RSA_OAEP;

describe("a resolver for Cosmos DB", () => {
  test("gives back what it wrapped, and wraps to a key record that names the exact version", async () => {
    const resolver: EncryptionKeyResolver = cosmosKeyResolver({ wrapWith: [open(), kek("backup")] });
    const key = noise(32, "cek");
    const wrapped = await resolver.wrapKey("orders-cek", ALGORITHM, key);
    expect(inspect(wrapped)).toMatchObject({
      kind: "key-record",
      recipients: [{ keyId: emulator.keyUrl("cosmos", emulator.newestVersion("cosmos")) }, { keyId: "backup" }],
    });
    expect(await resolver.unwrapKey("orders-cek", ALGORITHM, wrapped)).toEqual(key);
    await emulator.rotate("cosmos", 3_600_000);
    expect(await cosmosKeyResolver({ unwrapWith: [open()] }).unwrapKey("orders-cek", ALGORITHM, wrapped), "after a rotation").toEqual(key);
  });

  test("keeps keys by their wrapped bytes: two of one name are never taken for each other", async () => {
    const provider = watched(kek());
    const resolver = cosmosKeyResolver({ wrapWith: [provider] });
    const [first, second] = [noise(32, 1), noise(32, 2)];
    const [one, two] = [await resolver.wrapKey("same", ALGORITHM, first), await resolver.wrapKey("same", ALGORITHM, second)];
    for (let round = 0; round < 3; round++) {
      expect(await resolver.unwrapKey("same", ALGORITHM, one)).toEqual(first);
      (await resolver.unwrapKey("same", ALGORITHM, two)).fill(0); // a caller wipes a copy
    }
    expect(await resolver.unwrapKey("same", ALGORITHM, two)).toEqual(second);
    expect(provider.calls.filter((call) => call === "unwrap")).toHaveLength(2);
  });

  test("binds the context: a key that was wrapped for another tenant does not open", async () => {
    const wrapped = await cosmosKeyResolver({ wrapWith: [kek()], context: { tenant: "a" } }).wrapKey("id", ALGORITHM, noise(32));
    const other = cosmosKeyResolver({ wrapWith: [kek()], context: { tenant: "b" } });
    expect(await refusalCode(() => other.unwrapKey("id", ALGORITHM, wrapped))).toBe("authentication-failed");
  });

  test("unwraps what Azure's own resolver wrapped, where SHA-1 is allowed", async () => {
    const { credential, client } = emulator.connection;
    const keys = new KeyClient(emulator.url, credential, { ...client, disableChallengeResourceVerification: true });
    const { key: jwk, id = "" } = await keys.getKey("cosmos");
    const n = toBase64Url(jwk?.n ?? noise(0));
    const publicKey = createPublicKey({ key: { kty: "RSA", n, e: toBase64Url(jwk?.e ?? noise(0)) }, format: "jwk" });
    const wrapped = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" }, noise(32, "old"));
    const resolver = cosmosKeyResolver({ wrapWith: [kek()], unwrapWith: [open(true)] });
    expect(await resolver.unwrapKey(id, ALGORITHM, wrapped)).toEqual(noise(32, "old"));
    expect(await refusalCode(() => cosmosKeyResolver({ wrapWith: [open()] }).unwrapKey(id, ALGORITHM, wrapped))).toBe("unwrap-rejected");
    expect(await refusalCode(() => resolver.unwrapKey("https://attacker.example/keys/a", ALGORITHM, wrapped))).toBe("no-matching-provider");
    expect(await refusalCode(() => cosmosKeyResolver({ wrapWith: [kek()] }).unwrapKey(id, ALGORITHM, wrapped))).toBe("malformed-envelope");
  });

  test("refuses what is no key, and everything once it is closed", async () => {
    const resolver = cosmosKeyResolver({ wrapWith: [kek()] });
    for (const bytes of [0, 31, 33])
      expect(await refusalCode(() => resolver.wrapKey("id", ALGORITHM, noise(bytes)))).toBe("invalid-argument");
    for (const bytes of [0, 100, 256]) {
      expect(await refusalCode(() => resolver.unwrapKey("id", ALGORITHM, noise(bytes)))).toBe("malformed-envelope");
    }
    expect(await refusalCode(() => cosmosKeyResolver({ unwrapWith: [kek()] }).wrapKey("id", ALGORITHM, noise(32)))).toBe(
      "invalid-argument",
    );
    expect(await refusalCode(() => cosmosKeyResolver({}))).toBe("invalid-argument");
    const wrapped = await resolver.wrapKey("id", ALGORITHM, noise(32));
    resolver.close();
    expect(await refusalCode(() => resolver.wrapKey("id", ALGORITHM, noise(32)))).toBe("closed");
    expect(await refusalCode(() => resolver.unwrapKey("id", ALGORITHM, wrapped))).toBe("closed");
  });
});

test("the client of @azure/cosmos makes and rewraps data keys with it", async () => {
  const service = await startCosmos();
  const keyEncryptionKeyResolver = cosmosKeyResolver({ wrapWith: [kek("new")], unwrapWith: [kek("old")] });
  const before = cosmosKeyResolver({ wrapWith: [kek("old")] });
  const clientWith = (resolver: EncryptionKeyResolver): CosmosClient =>
    new CosmosClient({
      endpoint: service.url,
      key: "a2V5",
      clientEncryptionOptions: { keyEncryptionKeyResolver: resolver },
      connectionPolicy: { enableEndpointDiscovery: false },
    });
  const first = clientWith(before);
  await first.database("shop").createClientEncryptionKey("cek", EncryptionAlgorithm.AEAD_AES_256_CBC_HMAC_SHA256, metadata("orders"));
  const wrapped = service.stored();
  expect(inspect(wrapped)).toMatchObject({ kind: "key-record", recipients: [{ keyId: "old" }] });
  const second = clientWith(keyEncryptionKeyResolver);
  await second.database("shop").rewrapClientEncryptionKey("cek", metadata("orders-2"));
  expect(inspect(service.stored())).toMatchObject({ recipients: [{ keyId: "new" }] });
  const [old, now] = [
    await before.unwrapKey("", ALGORITHM, wrapped),
    await keyEncryptionKeyResolver.unwrapKey("", ALGORITHM, service.stored()),
  ];
  expect(now).toEqual(old);
  first.dispose();
  second.dispose();
  await service.close();
});

function open(unwrapRsaOaepSha1 = false): AzureKey {
  return azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("cosmos"), minVersionAgeMs: 0, unwrapRsaOaepSha1 });
}

function metadata(value: string): EncryptionKeyWrapMetadata {
  return { type: EncryptionKeyResolverName.AzureKeyVault, name: value, value, algorithm: KeyEncryptionAlgorithm.RSA_OAEP };
}

/** As much of Cosmos DB as keeps one client encryption key. */
async function startCosmos(): Promise<{ url: string; stored(): Uint8Array; close(): Promise<void> }> {
  let document: Record<string, unknown> = {};
  const server = createServer(async (request, response) => {
    if (request.method === "POST" || request.method === "PUT")
      document = { ...JSON.parse(await textOf(request)), _etag: '"1"', _rid: "rid" };
    const url = `http://${request.headers.host}`;
    const account = {
      writableLocations: [{ name: "here", databaseAccountEndpoint: url }],
      readableLocations: [],
      enableMultipleWriteLocations: false,
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url === "/" ? account : document));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: AddressInfo | string | null = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    stored() {
      const { wrappedDataEncryptionKey } = document;
      return Uint8Array.from(Buffer.from(`${wrappedDataEncryptionKey}`, "base64"));
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}
