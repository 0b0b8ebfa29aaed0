import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { httpDateSeconds, preconditionOf } from "../../../src/core/stream/http-preconditions.ts";
import { httpRangeHandler, type RangeHandlerOptions } from "../../../src/core/stream/range-handler.ts";
import { patterned, testKeyring } from "../../support/pieces.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const SIZE = 40_000;
const plaintext = patterned(SIZE);
const lastModified = new Date("2026-01-02T03:04:05.678Z");
const SAME = "Fri, 02 Jan 2026 03:04:05 GMT";
const EARLIER = "Thu, 01 Jan 2026 00:00:00 GMT";
const LATER = "Fri, 02 Jan 2026 03:04:06 GMT";
const VERSION = { etag: '"v7"', lastModified } as const;

type Headers_ = Readonly<Record<string, string>>;

describe("preconditions (RFC 9110 §13)", () => {
  test.each<[Headers_, number]>([
    [{ "if-none-match": '"v7"' }, 304],
    [{ "if-none-match": 'W/"v7"' }, 304],
    [{ "if-none-match": '"v6", "v7"' }, 304],
    [{ "if-none-match": '"a,b" ,W/"v7"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"v6"' }, 200],
    [{ "if-none-match": "v7" }, 200],
    [{ "if-none-match": "" }, 200],
    [{ "if-match": '"v7"' }, 200],
    [{ "if-match": '"v6", "v7"' }, 200],
    [{ "if-match": "*" }, 200],
    [{ "if-match": 'W/"v7"' }, 412],
    [{ "if-match": '"v6"' }, 412],
    [{ "if-match": "" }, 412],
    [{ "if-modified-since": SAME }, 304],
    [{ "if-modified-since": LATER }, 304],
    [{ "if-modified-since": EARLIER }, 200],
    [{ "if-modified-since": "yesterday" }, 200],
    [{ "if-unmodified-since": SAME }, 200],
    [{ "if-unmodified-since": LATER }, 200],
    [{ "if-unmodified-since": EARLIER }, 412],
    [{ "if-unmodified-since": "2026-01-01" }, 200],
    // the order of §13.2.2: tags win over dates, a failed If-Match over all, and all of them over ranges
    [{ "if-match": '"v7"', "if-unmodified-since": EARLIER }, 200],
    [{ "if-none-match": '"v6"', "if-modified-since": SAME }, 200],
    [{ "if-match": '"v6"', "if-none-match": '"v7"' }, 412],
    [{ "if-match": '"v7"', "if-none-match": '"v7"' }, 304],
    [{ "if-unmodified-since": EARLIER, "if-modified-since": LATER }, 412],
    [{ "if-match": '"v6"', range: "bytes=0-9" }, 412],
    [{ "if-match": '"v7"', range: "bytes=0-9" }, 206],
    [{ "if-none-match": '"v7"', range: "bytes=0-9" }, 304],
    [{ "if-none-match": '"v7"', range: "bytes=999999-" }, 304],
    [{ "if-range": '"v7"', range: "bytes=0-9" }, 206],
    [{ "if-range": 'W/"v7"', range: "bytes=0-9" }, 200],
    [{ "if-range": SAME, range: "bytes=0-9" }, 206],
    [{ "if-range": "Friday, 02-Jan-26 03:04:05 GMT", range: "bytes=0-9" }, 206],
    [{ "if-range": EARLIER, range: "bytes=0-9" }, 200],
    [{ "if-range": LATER, range: "bytes=0-9" }, 200],
  ])("%j: %i", async (headers, status) => {
    const { answer, reads } = await handler(VERSION);
    const bytes = { 200: SIZE, 206: 10, 304: 0, 412: 0 }[status];
    const response = await answer(new Request("http://x/", { headers }));
    expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([status, bytes]);
    const head = await answer(new Request("http://x/", { method: "HEAD", headers }));
    expect([head.status, (await head.arrayBuffer()).byteLength]).toEqual([status === 206 ? 200 : status, 0]);
    expect(reads() > 0).toBe(status < 300);
  });

  test("304 names the version, and nothing of the body", async () => {
    const { answer } = await handler(VERSION);
    const { headers } = await answer(new Request("http://x/", { headers: { "if-none-match": "*" } }));
    expect([...headers]).toEqual([
      ["etag", '"v7"'],
      ["last-modified", SAME],
    ]);
  });

  test.each<[Headers_, number]>([
    [{ "if-none-match": '"v7"' }, 200],
    [{ "if-match": '"v7"' }, 412],
    [{ "if-match": "*" }, 200],
    [{ "if-modified-since": LATER }, 200],
    [{ "if-unmodified-since": EARLIER }, 200],
    [{ "if-range": '"v7"', range: "bytes=0-9" }, 200],
    [{ "if-range": SAME, range: "bytes=0-9" }, 200],
  ])("with nothing that names the version, %j: %i", async (headers, status) => {
    const { answer } = await handler({});
    expect((await answer(new Request("http://x/", { headers }))).status).toBe(status);
  });

  test("whatever the headers hold, one of three comes out", () => {
    const text = fc.string({ maxLength: 30 }).map((given) => given.replace(/[^\x20-\x7e]/g, "?"));
    fc.assert(
      fc.property(text, text, text, text, (a, b, c, d) => {
        const headers = new Headers({ "if-match": a, "if-none-match": b, "if-modified-since": c, "if-unmodified-since": d });
        expect(["go", 304, 412]).toContain(preconditionOf(headers, { etag: '"v7"', modifiedSeconds: 1 }));
      }),
    );
  });
});

test("an HTTP-date is read in its three forms, and nothing else is one", () => {
  const at = Date.UTC(1994, 10, 6, 8, 49, 37) / 1000;
  for (const text of ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]) {
    expect(httpDateSeconds(text), text).toBe(at);
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (seconds) => {
      expect(httpDateSeconds(new Date(seconds * 1000).toUTCString())).toBe(seconds);
    }),
  );
  for (const text of [
    "",
    "Sun, 31 Feb 2026 08:49:37 GMT",
    "Sun, 06 Nov 1994 25:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37",
    "1994-11-06",
    "784111777",
  ]) {
    expect(httpDateSeconds(text), text).toBeUndefined();
  }
});

test("a date of another realm is a date", async () => {
  const ofElsewhere = untyped<Date>(runInNewContext("new Date(time)", { time: lastModified.getTime() }));
  await expect(handler({ ...VERSION, lastModified: ofElsewhere })).resolves.toBeDefined();
});

test("options that say nothing clear are refused", async () => {
  for (const options of [
    { etag: "v7" },
    { etag: 'W/"v7"' },
    { etag: untyped<string>(7) },
    { lastModified: new Date(Number.NaN) },
    { lastModified: untyped<Date>("Fri, 02 Jan 2026 03:04:05 GMT") },
    untyped<RangeHandlerOptions>({ lastmodified: new Date() }),
  ]) {
    expect(await refusalCode(() => handler(options))).toBe("invalid-argument");
  }
});

async function handler(options: RangeHandlerOptions) {
  const keyring = testKeyring();
  const envelope = await keyring.encrypt(plaintext);
  let reads = 0;
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    reads++;
    return envelope.slice(start, end);
  };
  const blob = await keyring.openSeekable({ size: envelope.length, read });
  reads = 0;
  return { answer: httpRangeHandler(blob, options), reads: () => reads };
}
