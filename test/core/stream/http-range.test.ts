import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseRange } from "../../../src/core/stream/http-range.ts";
import { httpRangeHandler, type RangeHandlerOptions } from "../../../src/core/stream/range-handler.ts";
import { patterned, testKeyring } from "../../support/pieces.ts";
import { refusalCode } from "../../support/refusal.ts";

const SIZE = 100_000;
const plaintext = patterned(SIZE);
const etag = '"v7"';
const lastModified = new Date("2026-11-01T10:00:00Z");

describe("what a Range header asks for (RFC 9110 §14)", () => {
  test.each<[string, ReturnType<typeof parseRange>]>([
    ["bytes=0-0", [{ start: 0, end: 1 }]],
    ["bytes=0-99", [{ start: 0, end: 100 }]],
    ["bytes=500-", [{ start: 500, end: 1000 }]],
    ["bytes=-1", [{ start: 999, end: 1000 }]],
    ["bytes=-5000", [{ start: 0, end: 1000 }]],
    ["bytes=999-99999999999999999999999", [{ start: 999, end: 1000 }]],
    ["Bytes = 1-2", [{ start: 1, end: 3 }]],
    [
      "bytes=0-1, 5-6",
      [
        { start: 0, end: 2 },
        { start: 5, end: 7 },
      ],
    ],
    [
      "bytes=,0-1,,5-6 ,",
      [
        { start: 0, end: 2 },
        { start: 5, end: 7 },
      ],
    ],
    [
      "bytes=5-6,0-1",
      [
        { start: 0, end: 2 },
        { start: 5, end: 7 },
      ],
    ],
    ["bytes=0-5,3-9", [{ start: 0, end: 10 }]],
    ["bytes=0-5,6-9", [{ start: 0, end: 10 }]],
    ["bytes=0-1,2000-", [{ start: 0, end: 2 }]],
    ["bytes=1000-", "unsatisfiable"],
    ["bytes=1000-1001,5000-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=5-4", "whole"],
    ["bytes=-", "whole"],
    ["bytes=a-b", "whole"],
    ["bytes=1-2;3-4", "whole"],
    ["bytes=0x1-2", "whole"],
    ["bytes=", "whole"],
    ["bytes", "whole"],
    ["items=0-1", "whole"],
    ["", "whole"],
    ["bytes=0-1,3-4,6-7,9-10,12-13", "whole"],
    ["bytes=0-999,0-999", "whole"],
  ])("%s", (header, expected) => {
    expect(parseRange(header, 1000, 4)).toEqual(expected);
  });

  test("an empty file has no ranges, and no header is no request", () => {
    expect([parseRange("bytes=0-0", 0, 4), parseRange(null, 10, 4), parseRange(undefined, 10, 4)]).toEqual(["whole", "whole", "whole"]);
  });

  test("whatever the header, ranges lie within the size, ascend and do not touch", () => {
    const spec = fc.oneof(
      fc.tuple(fc.nat(1200), fc.nat(1200)).map(([a, b]) => `${a}-${b}`),
      fc.nat(1200).map((a) => `${a}-`),
      fc.nat(1200).map((a) => `-${a}`),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(spec, { maxLength: 6 }), (specs) => {
        const ranges = parseRange(`bytes=${specs.join(",")}`, 1000, 8);
        if (typeof ranges === "string") return;
        let before = -1;
        for (const { start, end } of ranges) {
          expect(start > before && start < end && end <= 1000).toBe(true);
          before = end;
        }
      }),
    );
  });
});

describe("the handler", () => {
  test("one range: 206, its headers, exactly its bytes", async () => {
    for (const [header, start, end] of [
      ["bytes=0-0", 0, 1],
      ["bytes=16380-16390", 16380, 16391],
      ["bytes=50000-", 50_000, SIZE],
      ["bytes=-77", SIZE - 77, SIZE],
    ] as const) {
      const response = await ask({ range: header });
      expect(response.status).toBe(206);
      expect(Object.fromEntries(response.headers)).toEqual({
        "accept-ranges": "bytes",
        "content-length": `${end - start}`,
        "content-range": `bytes ${start}-${end - 1}/${SIZE}`,
        "content-type": "video/mp4",
        etag,
        "last-modified": "Sun, 01 Nov 2026 10:00:00 GMT",
      });
      expect(Buffer.compare(await bytesOf(response), plaintext.subarray(start, end))).toBe(0);
    }
  });

  test("several ranges: one multipart body of the stated length", async () => {
    const response = await ask({ range: "bytes=0-9,20000-20009,-5" });
    expect(response.status).toBe(206);
    const boundary = /^multipart\/byteranges; boundary=([0-9a-f]{32})$/.exec(response.headers.get("content-type") ?? "")?.[1] ?? "";
    const body = await bytesOf(response);
    expect(body.length).toBe(Number(response.headers.get("content-length")));
    const part = (start: number, end: number) => [
      Buffer.from(`--${boundary}\r\ncontent-type: video/mp4\r\ncontent-range: bytes ${start}-${end - 1}/${SIZE}\r\n\r\n`),
      plaintext.subarray(start, end),
      Buffer.from("\r\n"),
    ];
    const expected = [...part(0, 10), ...part(20_000, 20_010), ...part(SIZE - 5, SIZE), Buffer.from(`--${boundary}--\r\n`)];
    expect(Buffer.compare(body, Buffer.concat(expected))).toBe(0);
  });

  test("without a range, or with one that is to be ignored: 200 and the whole", async () => {
    for (const range of [undefined, "bytes=9-1", "items=0-1", "bytes=0-1,3-4,6-7,9-10,12-13"]) {
      const response = await ask(range === undefined ? {} : { range }, "GET", { maxRanges: 4 });
      expect([response.status, response.headers.get("content-length"), response.headers.get("content-range")]).toEqual([
        200,
        `${SIZE}`,
        null,
      ]);
      expect(Buffer.compare(await bytesOf(response), plaintext)).toBe(0);
    }
  });

  test("nothing there: 416 and the size", async () => {
    const response = await ask({ range: `bytes=${SIZE}-` });
    expect([response.status, response.headers.get("content-range"), (await bytesOf(response)).length]).toEqual([416, `bytes */${SIZE}`, 0]);
  });

  test("HEAD: the headers of the whole, no body; other methods: 405", async () => {
    const head = await ask({ range: "bytes=0-1" }, "HEAD");
    expect([head.status, head.headers.get("content-length"), head.body]).toEqual([200, `${SIZE}`, null]);
    const post = await ask({}, "POST");
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test.each([
    [etag, 206],
    ['"v6"', 200],
    ['W/"v7"', 200],
    ["Sun, 01 Nov 2026 10:00:00 GMT", 206],
    ["Sun, 01 Nov 2026 10:00:01 GMT", 200],
    ["nonsense", 200],
  ])("If-Range: %s gives %i", async (validator, status) => {
    expect((await ask({ range: "bytes=0-1", "if-range": validator })).status).toBe(status);
  });

  test("If-Range with nothing to compare gives the whole", async () => {
    const response = await httpRangeHandler(await openBlob())(
      new Request("http://x/", { headers: { range: "bytes=0-1", "if-range": etag } }),
    );
    expect(response.status).toBe(200);
  });

  test("an empty blob is served whole", async () => {
    const response = await httpRangeHandler(await openBlob(new Uint8Array(0)))(
      new Request("http://x/", { headers: { range: "bytes=0-1" } }),
    );
    expect([response.status, (await bytesOf(response)).length]).toEqual([200, 0]);
  });

  test("a blob that was changed in the middle errors its body; one that was cut gives no response", async () => {
    const keyring = testKeyring();
    const envelope = await keyring.encrypt(patterned(3_000_000));
    const changed = envelope.slice();
    changed[2_000_000] = (changed[2_000_000] ?? 0) ^ 1;
    for (const range of ["bytes=0-", "bytes=0-9,1900000-2100000"]) {
      const handler = httpRangeHandler(await keyring.openSeekable(inMemory(changed)));
      const response = await handler(new Request("http://x/", { headers: { range } }));
      expect(response.status).toBe(206);
      expect(await refusalCode(() => bytesOf(response))).toBe("authentication-failed");
    }
    const cut = await keyring.openSeekable(inMemory(envelope.slice(0, 1_000_000)));
    expect(await refusalCode(() => httpRangeHandler(cut)(new Request("http://x/")))).toBe("authentication-failed");
  });

  test("a client that leaves ends the reading, also between parts", async () => {
    const response = await ask({ range: "bytes=0-9,20000-90000" });
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect((await reader?.read())?.done).toBe(true);
  });

  test.each<RangeHandlerOptions>([
    { maxRanges: 0 },
    { maxRanges: 1.5 },
    { etag: "v7" },
    { etag: 'W/"v7"' },
    { contentType: "a\r\nb: c" },
    { contentType: "" },
  ])("options %j are refused", async (options) => {
    const blob = await openBlob();
    expect(await refusalCode(() => httpRangeHandler(blob, options))).toBe("invalid-argument");
  });
});

async function ask(headers: Record<string, string>, method = "GET", options: RangeHandlerOptions = {}): Promise<Response> {
  const handler = httpRangeHandler(await openBlob(), { contentType: "video/mp4", etag, lastModified, ...options });
  return await handler(new Request("http://x/film", { method, headers }));
}

async function openBlob(bytes: Uint8Array = plaintext) {
  const keyring = testKeyring();
  return await keyring.openSeekable(inMemory(await keyring.encrypt(bytes)));
}

function inMemory(envelope: Uint8Array) {
  return { size: envelope.length, read: async (start: number, end: number) => envelope.slice(start, end) };
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}
