import { getEventListeners } from "node:events";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { HttpService } from "../../../providers/http/http-service.ts";
import type { HttpFetch } from "../../../src/core/base/http-fetch.ts";
import { httpsFetch } from "../../../src/node/index.ts";
import { deferred } from "../../support/deferred.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";
import { startEcho } from "./echo.ts";

const server = await startEcho();
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
});

const fetch = httpsFetch({ ca: server.ca });
const service = new HttpService(`https://${server.host}`, { fetch });
const POST = { method: "POST", path: "/v1/keys", headers: { "x-test": "1" }, body: '{"a":1}', what: "the wrap" } as const;

test("a request arrives as it was given, and its answer is read", async () => {
  const answer = await service.send(POST, undefined);
  expect(answer).toMatchObject({ status: 200, json: { method: "POST", path: "/v1/keys", header: "1", body: '{"a":1}' } });
  expect(answer.serverUnixMs).toBe(Date.parse("2026-11-25T12:00:00Z"));
  expect(answer.header("content-type")).toBe("application/json");
  expect(answer.header("x-nothing")).toBeUndefined();
});

test("connections are used again, also for requests at once", async () => {
  const before = server.connectionCount;
  for (let round = 0; round < 5; round++) await service.send(POST, undefined);
  expect(server.connectionCount - before).toBeLessThanOrEqual(1);
});

test("a kept connection that the server has closed is replaced, and the request goes out once more", async () => {
  const closing = await startEcho();
  const kept = new HttpService(`https://${closing.host}`, { fetch: httpsFetch({ ca: closing.ca }) });
  await Promise.all(Array.from({ length: 4 }, () => kept.send(POST, undefined)));
  const before = closing.requests.length;
  closing.faults.add("reset", /^/, 4); // each of the four kept connections breaks at its next request
  expect(await kept.send(POST, undefined)).toMatchObject({ status: 200 });
  expect(closing.requests.length - before).toBe(5);
  closing.faults.add("reset", /^/, 2); // a kept one and then a new one
  expect(await refusal(() => kept.send(POST, undefined))).toMatchObject({ code: "unavailable", detail: "connection" });
  await closing.close();
});

test("the global fetch does as well, on plain loopback", async () => {
  const plain = createServer((request, response) => response.end(JSON.stringify({ url: request.url })));
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const address = plain.address();
  const port = typeof address === "object" ? address?.port : 0;
  const local = new HttpService(`http://127.0.0.1:${port}`, {});
  expect(await local.send({ method: "GET", path: "/a", what: "the read" }, undefined)).toMatchObject({ json: { url: "/a" } });
  plain.closeAllConnections();
  await new Promise((resolve) => plain.close(resolve));
});

test("an answer that switches the protocol is refused at once, and the next request is served", async () => {
  let isFirst = true;
  const switching = createServer((request, response) => {
    if (!isFirst) return response.end("{}");
    isFirst = false;
    return request.socket.end("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
  });
  await new Promise<void>((resolve) => switching.listen(0, "127.0.0.1", resolve));
  const address = switching.address();
  const port = typeof address === "object" ? address?.port : 0;
  // on a clock that stands still no deadline passes
  const local = new HttpService(`http://127.0.0.1:${port}`, { fetch: httpsFetch(), clock: fakeClock() });
  expect(await refusal(() => local.send(POST, undefined))).toMatchObject({ code: "provider-failure", detail: "client" });
  expect(await local.send(POST, undefined)).toMatchObject({ status: 200 });
  switching.closeAllConnections();
  await new Promise((resolve) => switching.close(resolve));
});

describe("what is no good answer", () => {
  test.each([
    ["an answer that breaks off", "cut", undefined],
    ["an answer without end", "endless", { code: "provider-failure", detail: "transport", retryable: true }],
    ["a byte more than 64 KiB", { status: 200, text: " ".repeat(65_537) }, { code: "provider-failure", detail: "transport" }],
    [
      "a redirect",
      { status: 307, text: "", headers: { location: "https://elsewhere.example/" } },
      { code: "provider-failure", detail: "redirect" },
    ],
    ["a permanent redirect", { status: 301, text: "", headers: { location: "/" } }, { code: "provider-failure", detail: "redirect" }],
  ] as const)("%s", async (_name, fault, expected) => {
    server.faults.add(fault, /^/, 1);
    if (expected === undefined) expect(await service.send(POST, undefined)).toMatchObject({ status: 200, json: undefined });
    else {
      const error = await refusal(() => service.send(POST, undefined));
      expect(error).toMatchObject(expected);
      expect(JSON.stringify(error) + error.stack).not.toContain('"a":1');
    }
    expect(await service.send(POST, undefined), "the next one is well").toMatchObject({ status: 200 });
    expect(server.requests.map(({ path }) => path)).toEqual(["POST /v1/keys", "POST /v1/keys"]);
  });

  test("a small answer that unpacks to a large one is cut off where it gets too long", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const packed = createServer((_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb));
    await new Promise<void>((resolve) => packed.listen(0, "127.0.0.1", resolve));
    const address = packed.address();
    const local = new HttpService(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`, {});
    const before = process.memoryUsage().arrayBuffers;
    expect(await refusal(() => local.send(POST, undefined))).toMatchObject({ code: "provider-failure", detail: "transport" });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
    packed.closeAllConnections();
    await new Promise((resolve) => packed.close(resolve));
  });

  test("exactly 64 KiB is read", async () => {
    server.faults.add({ status: 200, text: `"${"a".repeat(65_534)}"` }, /^/, 1);
    expect((await service.send(POST, undefined)).json).toHaveLength(65_534);
  });

  test("an endless answer is not read on: its connection is closed", async () => {
    server.faults.add("endless", /^/, 1);
    await refusal(() => service.send(POST, undefined));
    await expect.poll(() => server.requests.at(-1)?.isAbandoned).toBe(true);
  });

  test.each([
    [{ "retry-after": "3" }, 3000],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-1" }, undefined],
    [{}, undefined],
  ])("%j asks to wait %s ms", async (headers, ms) => {
    server.faults.add({ status: 429, text: "{}", headers }, /^/, 1);
    expect((await service.send(POST, undefined)).retryAfterMs).toBe(ms);
  });

  test("a date in retry-after is measured by the clock", async () => {
    const clock = fakeClock();
    const dated = new HttpService(`https://${server.host}`, { fetch, clock });
    server.faults.add({ status: 503, text: "", headers: { "retry-after": new Date(clock.unixMs() + 7000).toUTCString() } }, /^/, 1);
    expect((await dated.send(POST, undefined)).retryAfterMs).toBe(7000);
  });
});

describe("a request ends", () => {
  test("at its deadline, by the clock", async () => {
    const clock = fakeClock();
    const slow = new HttpService(`https://${server.host}`, { fetch, clock, timeoutMs: 500 });
    const held = server.holdNext();
    const outcome = refusal(() => slow.send(POST, undefined));
    await held.arrived;
    clock.advanceNow(500);
    expect(await outcome).toMatchObject({ code: "timeout", retryable: true, message: "the wrap did not answer in 500 ms" });
    held.release();
    expect(clock.timers).toBe(0);
  });

  test("at its deadline, however often a byte of the answer comes", async () => {
    const clock = fakeClock();
    const signals: (AbortSignal | undefined)[] = [];
    let bytes = 0;
    let drop = deferred();
    const dripping: HttpFetch = async (_url, { signal }) => {
      signals.push(signal);
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          await drop.promise;
          drop = deferred();
          controller.enqueue(new Uint8Array(1));
          bytes++;
        },
      });
      return { status: 200, headers: new Headers(), body };
    };
    const slow = new HttpService("https://vault.example", { fetch: dripping, clock, timeoutMs: 10_000 });
    const outcome = refusal(() => slow.send(POST, undefined));
    for (let second = 1; second < 10; second++) {
      clock.advanceNow(1000);
      drop.resolve();
      await expect.poll(() => bytes).toBe(second);
    }
    clock.advanceNow(1000);
    expect(await outcome).toMatchObject({ code: "timeout" });
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
  });

  test("with the caller's signal, and its reason", async () => {
    const controller = new AbortController();
    const held = server.holdNext();
    const outcome = service.send(POST, controller.signal).catch((error: unknown) => error);
    await held.arrived;
    const reason = new Error("the caller's");
    controller.abort(reason);
    expect(await outcome).toBe(reason);
    held.release();
    await expect(service.send(POST, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe("what does not reach a service", () => {
  test.each([
    ["an authority that is not trusted", `https://${server.host}`, { code: "unavailable", detail: "tls", retryable: false }],
    ["a port that nothing listens on", "https://127.0.0.1:65535", { code: "unavailable", detail: "connection", retryable: true }],
    ["a name that does not resolve", "https://nothing.invalid", { code: "unavailable", detail: "dns" }],
  ])("%s", async (_name, origin, expected) => {
    expect(await refusal(() => new HttpService(origin, {}).send(POST, undefined))).toMatchObject(expected);
  });

  test.each([
    "http://vault.example",
    "https://user:pw@vault.example",
    "https://vault.example/path",
    "https://vault.example?x=1",
    "ftp://vault.example",
    "vault.example",
    "",
  ])("the endpoint %j is refused", async (origin) => {
    expect(await refusal(() => new HttpService(origin, {}))).toMatchObject({ code: "invalid-argument" });
  });

  test("a fetch that is none and a time that is none are refused", async () => {
    const make = (options: unknown) => () => new HttpService("https://vault.example", untyped(options));
    for (const options of [{ fetch: "fetch" }, { timeoutMs: 0 }, { timeoutMs: Number.NaN }]) {
      expect(await refusal(make(options))).toMatchObject({ code: "invalid-argument" });
    }
  });
});

test("httpsFetch refuses unknown options, and a certificate without its key", async () => {
  expect(await refusal(() => httpsFetch(untyped({ CA: "" })))).toMatchObject({ hint: "did you mean `ca`?" });
  expect(await refusal(() => httpsFetch({ cert: "x" }))).toMatchObject({ code: "invalid-argument" });
});

describe("httpsFetch with a signal", () => {
  test.each([
    ["before", "nothing"],
    ["while the answer is awaited", "hang"],
    ["while the body is read", "half"],
  ] as const)("that is aborted %s ends, and holds on to no signal afterwards", async (_when, mode) => {
    const begun = deferred();
    const silent = createServer((_request, response) => {
      if (mode === "half") response.write("half");
      begun.resolve();
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`;
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    if (mode === "nothing") controller.abort(reason);
    const read = async (): Promise<string> =>
      await (await httpsFetch()(url, { method: "GET", headers: {}, redirect: "manual", signal: controller.signal })).text();
    const reading = read();
    if (mode === "nothing") await expect(reading).rejects.toBe(reason);
    else {
      await begun.promise;
      setImmediate(() => controller.abort(reason));
      await expect(reading).rejects.toThrow(mode === "hang" ? "aborted" : /aborted|closed/);
    }
    await expect.poll(() => getEventListeners(controller.signal, "abort")).toEqual([]);
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
  });
});
