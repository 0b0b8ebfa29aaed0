// Mutations that no test can notice, each with the reason. They are not run and not counted.

export interface Equivalent {
  readonly path: string;
  readonly before: string;
  /** All mutations of the line without it. */
  readonly after?: string;
  readonly why: string;
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    path: "src/core/format/succession.ts",
    before: "writeUint32(head, 24, createdAtMs % 2 ** 32);",
    after: "writeUint32(head, 24, createdAtMs % 2 ** 33);",
    why: "writeUint32 keeps the lowest 32 bits, which are those of the number itself",
  },
  {
    path: "src/core/format/cbor.ts",
    before: "return this.#head(MAJOR_UINT, field, 0, 0xffffffff);",
    after: "return this.#head(MAJOR_UINT, field, 0, 4294967296);",
    why: "a head of four bytes holds no more than 0xffffffff, and longer ones are refused",
  },
];
