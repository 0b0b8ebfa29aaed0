import { createServer } from "node:http";
import { expect, test } from "vitest";
import { runtimeFetch as nodeFetch } from "../../src/blobs/fetch/node.ts";
import { runtimeFetch as portableFetch } from "../../src/blobs/fetch/portable.ts";
import type { BlobFetch } from "../../src/blobs/http.ts";
import { toHex } from "../../src/core/base/bytes.ts";
import { noise } from "../support/arbitraries.ts";
import { originOf } from "../support/serving.ts";

// Stores refuse chunked encoding, and take what was promised and no other byte.

test.each<readonly [string, BlobFetch]>([
  ["Node's", nodeFetch],
  ["any other runtime's", portableFetch],
])("%s fetch sends bytes as they are, with their length and not in chunks", async (_whose, fetch) => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    const body: Buffer[] = [];
    request.on("data", (piece: Buffer) => body.push(piece));
    request.on("end", () => {
      seen.push([request.headers["transfer-encoding"], request.headers["content-length"], request.headers["x-own"]]);
      response.end(Buffer.concat(body).toString("hex"));
    });
  });
  const url = `${await originOf(server)}/x`;
  try {
    for (const length of [0, 1, 65_535, 65_536, 262_144, 262_145, 3_000_000]) {
      const body = noise(length + 10, length).subarray(5, length + 5);
      const answer = await fetch(url, { method: "PUT", headers: { "x-own": "kept" }, redirect: "manual", body });
      expect(await answer.text()).toBe(toHex(body));
      expect(seen.pop()).toEqual([undefined, `${length}`, "kept"]);
    }
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    const body = noise(3_000_000);
    await expect(fetch(url, { method: "PUT", headers: {}, redirect: "manual", body, signal: stop.signal })).rejects.toThrow();
  } finally {
    server.close();
  }
});
