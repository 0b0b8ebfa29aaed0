// A file encrypted with a keyset, the key rotated, the file rewrapped and decrypted.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, Keyring } from "envelock";
import { readKeysetFile, writeKeysetFile } from "envelock/keyset-file";
import { decryptFile, encryptFile } from "envelock/node";
import { generateKeysetKey, keysetProviders } from "envelock/providers/local";

const folder = await mkdtemp(join(tmpdir(), "envelock-files-"));
const path = (name: string): string => join(folder, name);
try {
  await writeFile(path("report.txt"), "net 30 days\n".repeat(10_000));

  // A keyset is a JSON file of key versions that its owner alone may read. Keep it: it opens everything.
  const first = await generateKeysetKey({ type: "aes-256", keyId: "reports-1", created: new Date().toISOString() });
  await writeKeysetFile(path("keys.json"), { primary: first.keyId, keys: [first] });
  const keyring = new Keyring({ wrapWith: keysetProviders(await readKeysetFile(path("keys.json"))) });

  // The context says what the file is. It is not stored, and decryption must be given the same.
  const context = { object: "reports/2026-11" };
  await encryptFile(keyring, path("report.txt"), path("report.envelock"), { context });

  // A second version becomes the primary. The first one still opens what it wrapped.
  const second = await generateKeysetKey({ type: "aes-256", keyId: "reports-2", created: new Date().toISOString() });
  await writeKeysetFile(path("keys.json"), { primary: second.keyId, keys: [first, second] }, { overwrite: true });
  const rotated = new Keyring({ wrapWith: keysetProviders(await readKeysetFile(path("keys.json"))) });

  // A rewrap replaces the header. The body stays as it is to the byte.
  const envelope = await readFile(path("report.envelock"));
  assert.equal(await rotated.needsRewrap(envelope), true);
  const moved = await rotated.rewrap(envelope);
  await writeFile(path("report.envelock"), moved);
  console.log("wrapped by", wrappedBy(envelope), "before and by", wrappedBy(moved), "after the rewrap");

  await decryptFile(rotated, path("report.envelock"), path("again.txt"), { context });
  assert.deepEqual(await readFile(path("again.txt")), await readFile(path("report.txt")));
  console.log("the decrypted file equals the first one");

  await assert.rejects(rotated.decrypt(moved, { context: { object: "reports/2026-12" } }), { code: "authentication-failed" });
  console.log("under another context it does not open");
} finally {
  await rm(folder, { recursive: true });
}

function wrappedBy(envelope: Uint8Array): string | undefined {
  const found = inspect(envelope);
  return found.kind === "envelope" ? found.recipients[0]?.keyId : undefined;
}
