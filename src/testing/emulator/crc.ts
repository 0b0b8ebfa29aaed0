/** A CRC of 32 bits over reflected bytes, with ones at the start and the end, such as CRC-32C. */
export class Crc32 {
  readonly #table: Uint32Array;
  #rest = 0xffffffff;

  /** @param polynomial reversed, such as 0x82f63b78 */
  constructor(polynomial: number) {
    this.#table = tableOf(polynomial);
  }

  update(bytes: Uint8Array): void {
    const table = this.#table;
    let rest = this.#rest;
    // by index: an iterator takes ten times as long
    for (let at = 0; at < bytes.length; at++) rest = (rest >>> 8) ^ (table[(rest ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
    this.#rest = rest;
  }

  /** @returns 4 bytes, big-endian */
  digest(): Buffer {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE((this.#rest ^ 0xffffffff) >>> 0);
    return bytes;
  }
}

/** A CRC of 64 bits over reflected bytes, with ones at the start and the end, such as CRC-64/NVME. */
export class Crc64 {
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  #restHigh = 0xffffffff;
  #restLow = 0xffffffff;

  /** @param high the upper half of the reversed polynomial @param low its lower half */
  constructor(high: number, low: number) {
    [this.#high, this.#low] = tablesOf(high, low);
  }

  update(bytes: Uint8Array): void {
    const [highs, lows] = [this.#high, this.#low];
    let [high, low] = [this.#restHigh, this.#restLow];
    for (let index = 0; index < bytes.length; index++) {
      const at = (low ^ (bytes[index] ?? 0)) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (lows[at] ?? 0);
      high = (high >>> 8) ^ (highs[at] ?? 0);
    }
    this.#restHigh = high;
    this.#restLow = low;
  }

  /** @returns 8 bytes, big-endian */
  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32BE((this.#restHigh ^ 0xffffffff) >>> 0);
    bytes.writeUInt32BE((this.#restLow ^ 0xffffffff) >>> 0, 4);
    return bytes;
  }
}

function tableOf(polynomial: number): Uint32Array {
  const known = TABLES.get(polynomial);
  if (known !== undefined) return known;
  const table = new Uint32Array(256).map((_, byte) => {
    let rest = byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? polynomial : 0);
    return rest;
  });
  TABLES.set(polynomial, table);
  return table;
}

function tablesOf(polynomialHigh: number, polynomialLow: number): readonly [high: Uint32Array, low: Uint32Array] {
  const [highs, lows] = [new Uint32Array(256), new Uint32Array(256)];
  for (let byte = 0; byte < 256; byte++) {
    let [high, low] = [0, byte];
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low & 1) === 1;
      low = (low >>> 1) | ((high & 1) << 31);
      high >>>= 1;
      if (isOdd) [high, low] = [high ^ polynomialHigh, low ^ polynomialLow];
    }
    highs[byte] = high;
    lows[byte] = low;
  }
  return [highs, lows];
}

const TABLES: Map<number, Uint32Array> = new Map();
