import { bytesToHex, concatBytes, hexToBytes } from "@noble/hashes/utils.js";
import type { Pair } from "./writer.ts";

// The shape of docs/vectors/*.json, which docs/vectors/README.md explains to other languages.

export type FormatError =
  | "malformed-envelope"
  | "unsupported-version"
  | "no-matching-provider"
  | "authentication-failed"
  | "invalid-argument";

/** What a broken vector says of itself; a good one has none of these. */
export interface Broken {
  /** The class that a reader must end in. */
  readonly error: FormatError;
  /** The rule of docs/format.md that is broken, or that finds it out. */
  readonly breaks: string;
  readonly note: string;
}

export type Vector<Shape> = Shape & { readonly name: string } & Partial<Broken>;

export interface VectorFile<Shape, Shared = object> {
  readonly about: string;
  readonly shared: Shared;
  readonly vectors: readonly Vector<Shape>[];
}

/** Text, or one text many times. */
export type VectorText = string | { readonly repeat: string; readonly times: number };
export type VectorPairs = readonly (readonly [key: VectorText, value: VectorText])[];

/** Hex, or what the pieces give when joined. */
export type VectorBytes = string | readonly BytesPiece[];
export type BytesPiece =
  | string
  | { readonly repeat: string; readonly times: number }
  /** Bytes [from, to) of another vector of the file. */
  | { readonly of: string; readonly from: number; readonly to: number };

export function textOf(text: VectorText): string {
  return typeof text === "string" ? text : text.repeat.repeat(text.times);
}

export function pairsOf(pairs: VectorPairs): readonly Pair[] {
  return pairs.map(([key, value]) => [textOf(key), textOf(value)]);
}

export function bytesOf(bytes: VectorBytes, lookUp: (name: string) => Uint8Array = unknownVector): Uint8Array {
  if (typeof bytes === "string") return hexToBytes(bytes);
  return concatBytes(
    ...bytes.map((piece) => {
      if (typeof piece === "string") return hexToBytes(piece);
      if ("of" in piece) return lookUp(piece.of).subarray(piece.from, piece.to);
      return hexToBytes(piece.repeat.repeat(piece.times));
    }),
  );
}

/** The same bytes, with their long runs of zeros told instead of shown. */
export function withShortZeros(bytes: Uint8Array): VectorBytes {
  const pieces: BytesPiece[] = [];
  let shown = 0;
  for (let at = 0; at < bytes.length; at++) {
    let end = at;
    while (bytes[end] === 0) end++;
    if (end - at < LONG_RUN) continue;
    pieces.push(hex(bytes.subarray(shown, at)), { repeat: "00", times: end - at });
    shown = end;
    at = end;
  }
  return pieces.length === 0 ? hex(bytes) : [...pieces, hex(bytes.subarray(shown))];
}

/** One vector a line, so that a change of one shows as one. */
export function formatVectorFile({ about, shared, vectors }: VectorFile<object>): string {
  const lines = vectors.map((vector) => `    ${JSON.stringify(vector)}`);
  return `{\n  "about": ${JSON.stringify(about)},\n  "shared": ${JSON.stringify(shared)},\n  "vectors": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

export function hex(bytes: Uint8Array): string {
  return bytesToHex(bytes);
}

const LONG_RUN = 1000;

function unknownVector(name: string): Uint8Array {
  throw new Error(`no vector is called ${name}`);
}
