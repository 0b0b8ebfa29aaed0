import { SCRATCH_BYTES } from "./scratch.ts";

/**
 * The functions of `@envelock/native`, which src/native/envelock.c describes. Small bytes stand in the scratch, whose regions are named in
 * scratch.ts. Arguments that do not fit throw a TypeError.
 */
export interface NativeFunctions {
  readonly version: string;
  /** The version of OpenSSL that the runtime exports. */
  readonly openssl: string;
  /** Whether OpenSSL was in FIPS mode when this thread loaded the package. */
  readonly isFips: boolean;
  readonly scratch: ArrayBuffer;
  random(bytes: number): void;
  prepare(kept: Uint8Array): void;
  seal(kept: Uint8Array, aadBytes: number, bytes: number, isFresh: boolean): number;
  open(kept: Uint8Array, aadBytes: number, bytes: number): boolean;
  sealInto(kept: Uint8Array, aadBytes: number, plaintext: Uint8Array, target: Uint8Array, offset: number): number | undefined;
  openInto(kept: Uint8Array, aadBytes: number, sealed: Uint8Array, offset: number, target: Uint8Array): boolean | undefined;
  sealText(kept: Uint8Array, aadBytes: number, prefixBytes: number, text: string): string | undefined;
  openText(kept: Uint8Array, aadBytes: number, prefixBytes: number, token: string): string | false | undefined;
  expand(isWide: boolean, keyBytes: number, infoBytes: number, bytes: number): void;
  sealChunks(firstChunk: number, plaintext: Uint8Array, isEnd: boolean, target: Uint8Array, offset: number): number;
  openChunks(firstChunk: number, sealed: Uint8Array, target: Uint8Array, offset: number): number | false;
  sealBody(infoBytes: number, plaintext: Uint8Array, target: Uint8Array, offset: number): number;
  openBody(infoBytes: number, body: Uint8Array, target: Uint8Array): boolean;
  forget(): void;
}

/** Whether what was loaded is the package: it is unknown code until then. */
export function isNative(loaded: unknown): loaded is NativeFunctions {
  if (typeof loaded !== "object" || loaded === null) return false;
  const has = (name: string, type: string): boolean => typeof Reflect.get(loaded, name) === type;
  const values = has("version", "string") && has("openssl", "string") && has("isFips", "boolean");
  const scratch: unknown = Reflect.get(loaded, "scratch");
  const hasScratch = scratch instanceof ArrayBuffer && scratch.byteLength === SCRATCH_BYTES;
  return values && hasScratch && FUNCTIONS.every((name) => has(name, "function"));
}

const FUNCTIONS: readonly (keyof NativeFunctions)[] = [
  "random",
  "prepare",
  "seal",
  "open",
  "sealInto",
  "openInto",
  "sealText",
  "openText",
  "expand",
  "sealChunks",
  "openChunks",
  "sealBody",
  "openBody",
  "forget",
];
