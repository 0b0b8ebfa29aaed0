import type { Agent } from "node:http";
import { expect } from "vitest";
import type { BlobStore } from "../../src/blobs/index.ts";
import { newName, storeOf } from "./set-up.ts";

/** Leaves downloads in every way, over an agent of one connection: each is free again for the next request. */
export async function expectFreedConnections(backing: BlobStore, agent: Agent): Promise<void> {
  expect(agent.maxSockets).toBe(1);
  const [store, name] = [storeOf(backing), newName()];
  const bytes = 12 * 2 ** 20; // more than what connections hold
  await store.put(name, new Uint8Array(bytes));
  const blob = await store.get(name);
  const begun = async (signal?: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
    const reader = blob.stream(0, bytes, signal ? { signal } : {}).getReader();
    expect((await reader.read()).done).toBe(false);
    return reader;
  };
  const readable = async (): Promise<void> => {
    expect(await blob.read(bytes - 5, bytes)).toHaveLength(5); // waits for ever for a connection that is not free
    expect(Object.values(agent.sockets).flat()).toEqual([]);
  };
  await (await begun()).cancel("enough");
  await readable();
  for await (const _ of blob.stream()) break;
  await readable();
  const stop = new AbortController();
  await begun(stop.signal);
  stop.abort(); // nothing reads
  await readable();
  const reading = await begun();
  const next = reading.read();
  await reading.cancel();
  await next;
  await readable();
  blob.close();
}
