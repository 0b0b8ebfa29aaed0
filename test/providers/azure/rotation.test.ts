import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { azureKey } from "../../../providers/azure/index.ts";
import { inspect } from "../../../src/core/keyring/inspect.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";

test("1,000 envelopes across 5 rotations, some of them in mid-flight", async () => {
  await using emulator = await AzureEmulator.start();
  const first = await emulator.createKey("orders", { type: "oct-HSM", bits: 256 });
  const provider = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders"), minVersionAgeMs: 0 });
  const keyring = new Keyring({ wrapWith: [provider], context: { tenant: "acme" } });
  const versions = [first];
  const sealed: { readonly plaintext: Uint8Array; readonly envelope: Uint8Array }[] = [];

  const write = async (count: number): Promise<void> => {
    for (let place = 0; place < count; place++) {
      const plaintext = randomBytes(48);
      sealed.push({ plaintext, envelope: await keyring.encrypt(plaintext) });
    }
  };
  for (let rotation = 0; rotation < 5; rotation++) {
    const writers = Array.from({ length: 8 }, () => write(25));
    const enoughAreWritten = sealed.length + 100;
    while (sealed.length < enoughAreWritten) await new Promise((resolve) => setImmediate(resolve));
    const version = await emulator.rotate("orders");
    versions.push(version);
    provider.noteNewVersion(emulator.keyUrl("orders", version));
    await Promise.all(writers);
  }
  expect(sealed).toHaveLength(1000);

  const wrappedByVersion = countOf(emulator.requests.flatMap(({ path }) => /\/([0-9a-f]{32})\/wrapkey$/.exec(path)?.[1] ?? []));
  const namedByVersion = countOf(sealed.map(({ envelope }) => versionIn(envelope)));
  expect(namedByVersion).toEqual(wrappedByVersion);
  expect([...namedByVersion.keys()].sort(), "each version wrapped something").toEqual([...versions].sort());

  const newest = versions.at(-1);
  const moved: Uint8Array[] = [];
  for (const { plaintext, envelope } of sealed) {
    expect(Buffer.compare(await keyring.decrypt(envelope), plaintext)).toBe(0);
    const isStale = await keyring.needsRewrap(envelope);
    expect(isStale).toBe(versionIn(envelope) !== newest);
    if (isStale && moved.length < 20) moved.push(await keyring.rewrap(envelope));
  }
  for (const envelope of moved) expect([await keyring.needsRewrap(envelope), versionIn(envelope)]).toEqual([false, newest]);
});

function versionIn(envelope: Uint8Array): string {
  const inspection = inspect(envelope);
  return "recipients" in inspection ? (inspection.recipients[0]?.keyId.slice(-32) ?? "") : "";
}

function countOf(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of [...names].sort()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
