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
    path: "src/core/crypto/xaes.ts",
    before: "const NO_BYTES: Uint8Array = new Uint8Array(0);",
    after: "const NO_BYTES: Uint8Array = new Uint8Array(1);",
    why: "nonces and keys made ahead are replaced before their first use, and nothing is read of what stood there",
  },
];
