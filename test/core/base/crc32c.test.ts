import fc from "fast-check";
import { expect, test } from "vitest";
import { Crc32c, crc32c } from "../../../src/core/base/crc32c.ts";
import { crc32c as bitwise } from "../../../src/testing/gcp-kms-emulator/crc32c.ts";

test.each([
  ["the check value", Buffer.from("123456789"), 0xe3069283],
  ["nothing", Buffer.alloc(0), 0],
  ["32 zero bytes", Buffer.alloc(32), 2_324_772_522],
  ["32 bytes of ones, RFC 3720 B.4", Buffer.alloc(32, 0xff), 0x62a8ab43],
  ["32 bytes that rise, RFC 3720 B.4", Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e],
])("CRC32C of %s", (_what, bytes, checksum) => {
  expect(crc32c(bytes)).toBe(checksum);
});

test("the tables agree with the bits, in one piece and in two", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
      const checksum = new Crc32c();
      checksum.update(bytes.subarray(0, cut));
      const copy = checksum.copy();
      checksum.update(bytes.subarray(cut));
      return crc32c(bytes) === bitwise(bytes) && checksum.value() === bitwise(bytes) && copy.value() === bitwise(bytes.subarray(0, cut));
    }),
  );
});
