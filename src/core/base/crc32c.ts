/** CRC32C (Castagnoli) of bytes that come in pieces. RFC 9260 appendix A. `zlib.crc32` is another polynomial. */
export class Crc32c {
  #rest = 0xffffffff;

  update(bytes: Uint8Array): void {
    tables ??= newTables();
    const table = tables;
    const whole = bytes.length - (bytes.length % STRIDE);
    let rest = this.#rest;
    let at = 0;
    for (; at < whole; at += STRIDE) {
      const low = rest ^ (byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24));
      rest =
        entry(table, 7, low & 0xff) ^
        entry(table, 6, (low >>> 8) & 0xff) ^
        entry(table, 5, (low >>> 16) & 0xff) ^
        entry(table, 4, low >>> 24) ^
        entry(table, 3, byte(bytes, at + 4)) ^
        entry(table, 2, byte(bytes, at + 5)) ^
        entry(table, 1, byte(bytes, at + 6)) ^
        entry(table, 0, byte(bytes, at + 7));
    }
    for (; at < bytes.length; at++) rest = entry(table, 0, (rest ^ byte(bytes, at)) & 0xff) ^ (rest >>> 8);
    this.#rest = rest;
  }

  /** Returns the checksum of all bytes so far, from 0 to 2^32 - 1. More may follow. */
  value(): number {
    return (this.#rest ^ 0xffffffff) >>> 0;
  }

  /** Returns a checksum that goes on from here by itself. */
  copy(): Crc32c {
    const copy = new Crc32c();
    copy.#rest = this.#rest;
    return copy;
  }
}

export function crc32c(bytes: Uint8Array): number {
  const checksum = new Crc32c();
  checksum.update(bytes);
  return checksum.value();
}

/** Row 0 is the table of single bytes; row n is that of a byte with n zero bytes behind it. */
function newTables(): Int32Array {
  const made = new Int32Array(STRIDE * 256);
  for (let at = 0; at < 256; at++) {
    let rest = at;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? REVERSED_POLYNOMIAL : 0);
    made[at] = rest;
  }
  for (let at = 256; at < made.length; at++) {
    const before = made[at - 256] ?? 0;
    made[at] = (before >>> 8) ^ (made[before & 0xff] ?? 0);
  }
  return made;
}

function entry(table: Int32Array, row: number, at: number): number {
  return table[row * 256 + at] ?? 0;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

const REVERSED_POLYNOMIAL = 0x82f63b78;
/** Bytes that one step takes: a step of one byte is several times as slow. */
const STRIDE = 8;
/** Made at the first use, because many programs import this and check nothing. */
let tables: Int32Array | undefined;
