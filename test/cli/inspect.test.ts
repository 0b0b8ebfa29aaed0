import { randomBytes } from "node:crypto";
import { truncateSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { localKey } from "../../providers/local/index.ts";
import { toBase64Url } from "../../src/core/base/bytes.ts";
import { bodyBytes } from "../../src/core/crypto/cobblestone.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { ok, refused, scratch } from "./runner.ts";

const { at, read, write } = scratch();
const keyring = new Keyring(localKey({ keyId: "v1", key: randomBytes(32) }));
const plaintext = new Uint8Array(20_000);

beforeAll(async () => {
  write("envelope", await keyring.encrypt(plaintext, { context: { secret: "context" } }));
});

describe("an envelope", () => {
  test("as a table", async () => {
    const { text } = await ok(["inspect", at("envelope")]);
    const { kid } = inspect(read("envelope"));
    expect(text).toBe(
      [
        "envelope   format 1, suite 1",
        `data key   ${kid}`,
        "header     130 bytes",
        "body       20,088 bytes",
        "plaintext  20,000 bytes, if the body is whole",
        "",
        "recipient  provider  algorithm     wrapped   key id",
        "1          local     XAES-256-GCM  72 bytes  v1",
        "",
      ].join("\n"),
    );
  });

  test("as JSON: what the library's inspect gives", async () => {
    const { text } = await ok(["inspect", "--json", at("envelope")]);
    const inspection: unknown = JSON.parse(text);
    expect(inspection).toEqual(inspect(read("envelope")));
    expect(inspection).toMatchObject({
      kind: "envelope",
      suite: 1,
      kid: expect.stringMatching(/^[0-9a-f]{32}$/),
      keyCommit: expect.stringMatching(/^[0-9a-f]{64}$/),
      recipients: [{ provider: "local", keyId: "v1", alg: 1, algorithm: "XAES-256-GCM", wrappedBytes: 72 }],
      headerBytes: 130,
      paddingBytes: 0,
      bodyBytes: 20_088,
      plaintextBytes: 20_000,
    });
  });

  test("from a pipe: the same", async () => {
    const fromFile = await ok(["inspect", at("envelope")]);
    expect((await ok(["inspect"], read("envelope"))).text).toBe(fromFile.text);
    expect((await ok(["inspect", "-"], read("envelope"))).text).toBe(fromFile.text);
  });

  test("with a padded header", async () => {
    const { text } = await ok(["inspect"], await keyring.encrypt(plaintext, { minHeaderBytes: 4096 }));
    expect(text).toContain("header     4,096 bytes, 3,966 of them padding\n");
  });

  test("larger than memory: the header alone is read", async () => {
    const { header } = await keyring.encryptDetached(new Uint8Array(0));
    const plaintextBytes = 2 ** 40;
    write("vast", header);
    truncateSync(at("vast"), header.length + bodyBytes(plaintextBytes)); // a hole of 1 TiB
    const { text } = await ok(["inspect", "--json", at("vast")]);
    expect(JSON.parse(text)).toMatchObject({ kind: "envelope", bodyBytes: bodyBytes(plaintextBytes), plaintextBytes });
  });
});

describe("what a hostile writer chose", () => {
  const hostile = "v1\u001b]0;owned\u0007\u001b[2J\r\n2          azure     fake\u202e\u2066\u009b1m";

  test("is escaped in the table and in JSON, where it still parses to the same", async () => {
    const envelope = await new Keyring(localKey({ keyId: hostile, key: randomBytes(32) })).encrypt(plaintext);
    const table = await ok(["inspect"], envelope);
    const json = await ok(["inspect", "--json"], envelope);
    for (const { text } of [table, json]) expect(text).toMatch(PRINTABLE_LINES);
    expect(table.text.trimEnd().split("\n")).toHaveLength(8);
    expect(table.text).toContain("v1\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{d}\\u{a}2");
    expect(JSON.parse(json.text)).toMatchObject({ recipients: [{ keyId: hostile }] });
  });

  test("is escaped on standard error, as arguments are", async () => {
    const { stderr } = await refused(1, "invalid-argument", ["inspect", at(`no\u001b[2J\u202efile`)]);
    expect(stderr).toContain("no\\u{1b}[2J\\u{202e}file");
    expect(stderr).toMatch(PRINTABLE_LINES);
  });
});

describe("other structures", () => {
  test("a detached header", async () => {
    const { header } = await keyring.encryptDetached(plaintext);
    const { text } = await ok(["inspect"], header);
    expect(text).toMatch(/^header {4}of a detached envelope, format 1, suite 1$/m);
    expect(text).toMatch(/^1 .* v1$/m);
    expect(text).not.toContain("body");
  });

  test("a key record, and tokens as bytes and as text", async () => {
    const { dataKey, keyRecord } = await keyring.createDataKey();
    const { kid } = dataKey;
    const random = dataKey.encryptToken(plaintext);
    const deterministic = dataKey.encryptDeterministic(plaintext);
    const shown = async (input: Uint8Array | string): Promise<string> => (await ok(["inspect", write("structure", input)])).text;
    expect(await shown(keyRecord)).toMatch(new RegExp(`^key record  suite 1\ndata key    ${kid}\n\nrecipient .*\n1 .* v1\n$`));
    const expected = (kind: string): string => `field token  ${kind}\ndata key     ${kid}\nplaintext    20,000 bytes\n`;
    expect(await shown(random)).toBe(expected("random"));
    expect(await shown(`${toBase64Url(random)}\n`)).toBe(expected("random"));
    expect(await shown(deterministic)).toBe(expected("deterministic"));
    expect(await shown(toBase64Url(deterministic))).toBe(expected("deterministic"));
  });
});

describe("is refused", () => {
  test.each<readonly [string, string, () => Uint8Array | string]>([
    ["nothing", "malformed-envelope", () => ""],
    ["text", "malformed-envelope", () => "no envelope"],
    ["text that begins like a token", "malformed-envelope", () => "never"],
    ["a header that is cut short", "malformed-envelope", () => read("envelope").subarray(0, 100)],
    ["a body that is cut short", "malformed-envelope", () => read("envelope").subarray(0, 150)],
    ["a newer format", "unsupported-version", () => Uint8Array.of(0x9e, 2, 0, 0, 0, 0, 0, 1, 0)],
  ])("%s: %s", async (_what, code, input) => {
    const file = write("refused", input());
    await refused(1, code, ["inspect", file]);
    await refused(1, code, ["inspect", "--json"], read("refused"));
  });

  test("what is too large to be a key record, without being read", async () => {
    write("large-record", Uint8Array.of(0x9d));
    truncateSync(at("large-record"), 2 ** 40);
    await refused(1, "invalid-argument", ["inspect", at("large-record")]);
  });
});

/** Letters, marks, numbers, punctuation, symbols, plain spaces and line ends. */
const PRINTABLE_LINES = /^[\p{L}\p{M}\p{N}\p{P}\p{S} \n]*$/u;
