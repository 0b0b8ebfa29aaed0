import { afterAll, describe, expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { noise } from "../support/arbitraries.ts";
import { startAzurite } from "../support/azurite.ts";
import { breakingProxy } from "../support/breaking-proxy.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { inPieces, storeOf, wholeOf } from "./set-up.ts";

// ENVELOCK_BREAK_STEP=65536 breaks the connection at every 64 KiB, one transfer after the other.

const { ENVELOCK_BREAK_STEP = "7000000" } = process.env;
const STEP = Number(ENVELOCK_BREAK_STEP);
const BYTES = 20 * 2 ** 20;
const bytes = noise(BYTES);
const PLACES = Array.from({ length: Math.ceil(BYTES / STEP) }, (_, at) => (at + 1) * STEP).filter((place) => place < BYTES);

const azurite = await startAzurite();
const { port, pathname } = new URL(azurite.url);
const proxy = await breakingProxy(Number(port));
afterAll(async () => {
  await proxy.close();
  await azurite.close();
});
const container = await azurite.createContainer();
const direct = storeOf(azureBlobs({ url: `${azurite.url}/${container}`, sas: azurite.sas(container) }));
const through = azureBlobs({ url: `http://127.0.0.1:${proxy.port}${pathname}/${container}`, sas: azurite.sas(container) });

describe("20 MiB over a connection that breaks once", { timeout: 1_200_000 }, () => {
  test("down: whole, wherever it breaks", async () => {
    await direct.put("down", inPieces(bytes, 65_536));
    for (const place of PLACES) {
      proxy.breakOnce("down", place);
      expectSameBytes(await wholeOf(storeOf(through), "down"), bytes);
      expect(proxy.hasBroken).toBe(true);
    }
  });

  test("up: whole, wherever it breaks, and nothing is seen before", async () => {
    for (const place of PLACES) {
      proxy.breakOnce("up", place);
      await storeOf(through).put(`up/${place}`, inPieces(bytes, 65_536));
      expect(proxy.hasBroken).toBe(true);
      expect(await direct.verify(`up/${place}`, "all")).toMatchObject({ plaintextBytes: BYTES });
      await direct.delete(`up/${place}`);
    }
  });
});
