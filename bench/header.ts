import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { EnvelockError, inspect } from "envelock";
import type { Contest } from "./harness.ts";

/** Reading hostile headers of 64 KiB, against a valid one of that size: none may cost more than what it pretends to be. */
export function headerContests(): readonly Contest[] {
  const valid = header(keyRecord(16));
  const contestants = Object.entries(HOSTILE).map(([name, area]) => {
    const hostile = header(area);
    return { name, hostile, run: () => refused(hostile) };
  });
  return [
    {
      name: "parse a header of 64 KiB",
      prove() {
        const inspection = inspect(valid);
        strictEqual(inspection.kind, "header");
        deepStrictEqual("recipients" in inspection && inspection.recipients.length, 16);
        for (const { hostile } of contestants) throws(() => inspect(hostile), { code: "malformed-envelope" });
      },
      baseline: { name: "valid, 16 recipients", run: () => inspect(valid) },
      contestants,
    },
  ];
}

function refused(hostile: Uint8Array): string {
  try {
    inspect(hostile);
    return "";
  } catch (error) {
    return error instanceof EnvelockError ? error.code : "";
  }
}

function header(area: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + AREA_BYTES);
  bytes.set([0x9e, 1, 0, 0, 0, 1, 0, 0]); // docs/format.md §4: H = 65536
  bytes.set(area.subarray(0, AREA_BYTES), 8);
  return bytes;
}

/** As large as fits: each recipient wraps into 4,000 bytes. */
function keyRecord(recipients: number): Uint8Array {
  const recipient = Buffer.concat([Buffer.from([0x84, 0x65]), Buffer.from("local"), Buffer.from([0x62]), Buffer.from("k1"), WRAPPED]);
  const head = Buffer.concat([Buffer.from([0x83, 0x01, 0x58, 0x20]), Buffer.alloc(32, 7), Buffer.from([0x80 | recipients])]);
  return Buffer.concat([head, ...Array.from({ length: recipients }, () => recipient)]);
}

const AREA_BYTES = 65536;
const WRAPPED = Buffer.concat([Buffer.from([0x01, 0x59, 0x0f, 0xa0]), Buffer.alloc(4000, 5)]);
const COMMIT = Buffer.concat([Buffer.from([0x83, 0x01, 0x58, 0x20]), Buffer.alloc(32, 7)]);
const HOSTILE: Readonly<Record<string, Uint8Array>> = {
  "nested arrays": Buffer.alloc(AREA_BYTES, 0x81),
  "nested tags": Buffer.alloc(AREA_BYTES, 0xc1),
  "bignum tag over 64 KiB": Buffer.concat([Buffer.from([0xc2, 0x59, 0xff, 0xfc]), Buffer.alloc(AREA_BYTES, 0xff)]),
  "array of 4 billion": Buffer.concat([COMMIT, Buffer.from([0x9a, 0xff, 0xff, 0xff, 0xff])]),
  "byte string of 4 GiB": Buffer.from([0x83, 0x01, 0x5a, 0xff, 0xff, 0xff, 0xff]),
  "one bad byte after the valid record": Buffer.concat([
    keyRecord(16),
    Buffer.alloc(AREA_BYTES - keyRecord(16).length - 1),
    Buffer.from([1]),
  ]),
  "a 17th recipient": Buffer.concat([keyRecord(17)]),
};
