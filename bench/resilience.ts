import { deepStrictEqual } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type DataKey, type KeyProvider, Keyring, type KeyringOptions } from "envelock";
import { localKey } from "envelock/providers/local";
import { rolldown } from "rolldown";
import type { Contest } from "./harness.ts";

/** What a warm cache costs: decrypt through a keyring, against the same envelope opened with its data key in hand. */
export async function resilienceContests(): Promise<readonly Contest[]> {
  const { claimedPlaintextBytes, encodeKeyRecord, KeyContext, Keyring, localKey, openBody, parseHeader } = await internals();
  const provider = localKey({ keyId: "bench-2026-11", key: randomBytes(32) });
  const plaintext = new Uint8Array(randomBytes(256));
  const keyContext = new KeyContext({ tenant: "acme" });
  const warm = new Keyring({ wrapWith: [provider], context: { tenant: "acme" }, cache: {} });
  const cold = new Keyring({ wrapWith: [provider], context: { tenant: "acme" } });
  let envelope: Uint8Array = new Uint8Array(0);
  let dataKey: DataKey | undefined;
  const bare = async (): Promise<Uint8Array> => {
    const { headerBytes } = parseHeader(envelope);
    const body = envelope.subarray(headerBytes);
    if (dataKey === undefined) throw new Error("the bare data key is made by prove");
    return await openBody(dataKey, keyContext.encode(CONTEXT.context), body, claimedPlaintextBytes(body.length));
  };
  return [
    {
      name: "decrypt 256 B, data key known",
      async prove() {
        envelope = await warm.encrypt(plaintext, CONTEXT);
        dataKey = await cold.unwrapDataKey(encodeKeyRecord(parseHeader(envelope).record));
        for (const run of [bare, () => warm.decrypt(envelope, CONTEXT), () => cold.decrypt(envelope, CONTEXT)]) {
          deepStrictEqual(await run(), plaintext);
        }
      },
      baseline: { name: "bare DataKey", run: bare },
      contestants: [
        { name: "keyring, warm cache", run: () => warm.decrypt(envelope, CONTEXT) },
        { name: "keyring, no cache, local key", run: () => cold.decrypt(envelope, CONTEXT) },
      ],
    },
  ];
}

/** Provider calls that a million operations make, counted, with and without reuse and cache; as a Markdown table. */
export async function providerCallTable(operations: number = 1_000_000): Promise<string> {
  const rows = [
    await countCalls("encrypt", operations, {}),
    await countCalls("encrypt", operations, { reuse: { maxUses: 100_000 } }),
    await countCalls("decrypt", operations, {}),
    await countCalls("decrypt", operations, { cache: {} }),
  ];
  return [`| ${operations} operations | options | provider calls |`, "| --- | --- | ---: |", ...rows].join("\n");
}

async function countCalls(operation: "encrypt" | "decrypt", operations: number, options: CountedOptions): Promise<string> {
  const { provider, counted } = counting(localKey({ keyId: "bench-2026-11", key: randomBytes(32) }));
  const keyring = new Keyring({ wrapWith: [provider], ...options });
  const plaintext = new Uint8Array(16);
  const envelope = await keyring.encrypt(plaintext);
  await keyring.close();
  counted.calls = 0;
  const measured = new Keyring({ wrapWith: [provider], ...options });
  for (let done = 0; done < operations; done++) {
    if (operation === "encrypt") await measured.encrypt(plaintext);
    else await measured.decrypt(envelope);
  }
  return `| ${operation} | ${JSON.stringify(options)} | ${counted.calls} |`;
}

type CountedOptions = Pick<KeyringOptions, "reuse" | "cache">;

function counting(inner: KeyProvider): { readonly provider: KeyProvider; readonly counted: { calls: number } } {
  const counted = { calls: 0 };
  const provider: KeyProvider = {
    ...inner,
    wrap(dek, options) {
      counted.calls++;
      return inner.wrap(dek, options);
    },
    unwrap(recipient, options) {
      counted.calls++;
      return inner.unwrap(recipient, options);
    },
  };
  return { provider, counted };
}

/** The parts that the package keeps to itself, bundled as the package is: what tsx makes of sources is slower. */
async function internals(): Promise<typeof import("./internals.ts")> {
  const folder = mkdtempSync(join(import.meta.dirname, ".internals-")); // inside the package, so that its imports are found
  try {
    const bundle = await rolldown({ input: join(import.meta.dirname, "internals.ts"), external: [/^[^./]/], platform: "neutral" });
    await bundle.write({ dir: folder, format: "es" });
    return await import(join(folder, "internals.js"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const CONTEXT = { context: { object: "invoices/7.pdf" } };
