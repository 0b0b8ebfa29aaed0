import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as suite from "../../src/core/contracts/suite.ts";
import { codeOf } from "../mutants/mutations.ts";
import { ROOT, sourceFiles } from "./imports.ts";

// One file says what suite 1 is. docs/format.md §1

const SUITE_FILE = "src/core/contracts/suite.ts";
/** The base lies below and knows no suite. The source of the WebAssembly module is compiled alone. */
const ELSEWHERE = [SUITE_FILE, "src/core/base/", "src/core/crypto/engine/wasm/source/"];
const MAY_KNOW_IT = sourceFiles("src/core").filter((path) => !ELSEWHERE.some((other) => path.startsWith(other)));

test("no other file of the core states a size of the suite, or a sum of two", () => {
  expect(MAY_KNOW_IT.flatMap(linesWithSizes).filter((line) => !isAllowed(line))).toEqual([]);
});

test("every exception is one", () => {
  const found = MAY_KNOW_IT.flatMap(linesWithSizes);
  expect(NOT_OF_THE_SUITE.filter(([path, text]) => !found.some((line) => line.startsWith(`${path}:`) && line.includes(text)))).toEqual([]);
});

test("no other file of the core writes the suite's number, its hash or its label", () => {
  const found = MAY_KNOW_IT.flatMap(linesOf).filter((line) => OWN_WORDS.test(line));
  expect(found.filter((line) => !line.startsWith("src/core/crypto/engine/"))).toEqual([]);
});

function linesWithSizes(path: string): readonly string[] {
  const code = codeOf(readFileSync(join(ROOT, path), "utf8"))
    .replace(NO_SIZE, " ")
    .split("\n");
  return linesOf(path).filter((_, index) => {
    const numbers = [...(code[index] ?? "").matchAll(/(?<![\w.])(?:0x[0-9a-f]{3,}|\d[\d_]*)(?![\w.])/g)].map(([found]) =>
      Number(found.replaceAll("_", "")),
    );
    return numbers.some((number) => SIZES.has(number));
  });
}

function linesOf(path: string): readonly string[] {
  return readFileSync(join(ROOT, path), "utf8")
    .split("\n")
    .map((line, index) => `${path}:${index + 1} ${line.trim()}`);
}

function isAllowed(line: string): boolean {
  return NOT_OF_THE_SUITE.some(([path, text]) => line.startsWith(`${path}:`) && line.includes(text));
}

const OWN: readonly number[] = Object.values(suite)
  .filter((value) => typeof value === "number" && value !== suite.SUITE)
  .map(Number);
const SUMS: readonly number[] = [
  suite.CHUNK_BYTES + suite.TAG_BYTES,
  suite.SALT_BYTES + suite.COMMITMENT_BYTES,
  suite.CHUNK_KEY_BYTES + suite.GCM_NONCE_BYTES,
  suite.CHUNK_KEY_BYTES + suite.GCM_NONCE_BYTES + suite.COMMITMENT_BYTES,
  suite.XAES_NONCE_BYTES + suite.TAG_BYTES,
  suite.DATA_KEY_BYTES + suite.TAG_BYTES,
  1 + suite.KID_BYTES + suite.XAES_NONCE_BYTES + suite.TAG_BYTES,
  1 + suite.KID_BYTES + suite.SIV_BYTES,
  8 * suite.TAG_BYTES,
];
const SIZES: ReadonlySet<number> = new Set([...OWN, ...SUMS]);
const OWN_WORDS = /"sha512"|"envelock\/v1\/(?:key-commit|token|body|index|succession)|\bsuite: 1\b/;
/** Powers of two, shifts, the base of hexadecimal digits, defaults of options, and constants whose names do not speak of bytes. */
const NO_SIZE = /2 \*\* \d+|(?:<<|>>>?) \d+|toString\(16\)|, 16\)|\bmax\w+ = \d+|\b(?:const|readonly) (?!\w*BYTES)\w+ = \d+;/g;

/** Lines with such a number that means something else. */
const NOT_OF_THE_SUITE: readonly (readonly [path: string, text: string])[] = [
  ["src/core/crypto/double-block.ts", "new Uint8Array(16)"], // a block of AES
  ["src/core/crypto/xaes.ts", "const BLOCK_BYTES = 16"],
  ["src/core/crypto/hkdf.ts", "{ sha256: 32, sha512: 64 }"], // what a hash gives
  ["src/core/crypto/engine/node-hmac.ts", "scratchFor(64, 32)"],
  ["src/core/crypto/engine/key-wrap.ts", "key.length < 16"], // RFC 3394
  ["src/core/crypto/engine/node-key-wrap.ts", "bytes.length >= 24"],
  ["src/core/crypto/engine/siv.ts", "counter[12]"], // RFC 5297
  ["src/core/crypto/engine/wasm/coarse.ts", "KEY_BYTES = 128"], // the block of SHA-512
  ["src/core/crypto/engine/wasm/fine.ts", "taken(memory, at.out, 64)"], // what SHA-512 gives
  ["src/core/crypto/engine/wasm/fine.ts", "const BLOCK_BYTES = 16"],
  ["src/core/crypto/engine/node.ts", "keyBytes === 16"], // AES-128
  ["src/core/crypto/engine/node.ts", "major === 24"], // a version of Node
  ["src/core/format/cbor.ts", "24"], // RFC 8949 §3
  ["src/core/format/recipient.ts", 'reader.text("provider", 1, 32)'], // the longest name
  ["src/core/contracts/algorithms.ts", "threshold"], // a number of the registry
  ["src/core/format/succession.ts", "createdAtMs"], // an offset
  ["src/core/format/succession.ts", "MAX_PROOF_BYTES"],
  ["src/core/stream/http-preconditions.ts", "Number(hour) < 24"],
  ["src/core/stream/range-handler.ts", "randomNonce(16)"], // a boundary of MIME parts
  ["src/core/stream/upload-plan.ts", "DIGEST_BYTES = 32"], // SHA-256
];
