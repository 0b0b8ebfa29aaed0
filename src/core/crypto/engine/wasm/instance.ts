import { toHex, wipe } from "../../../base/bytes.ts";
import { XAES_KEY_BYTES, XAES_NONCE_BYTES } from "../../../contracts/suite.ts";
import type { EngineInfo, EngineName } from "../engine.ts";
import { MODULE } from "./module.ts";

/** The functions of the module, which `source/index.ts` describes, and its memory, which never grows. */
export interface WasmFunctions {
  readonly memory: WebAssembly.Memory;
  place(region: number): number;
  makeSchedule(): void;
  seal(at: number, aadBytes: number, bytes: number): void;
  open(at: number, aadBytes: number, bytes: number): number;
  startXaes(at: number, aadBytes: number): void;
  start(at: number, aadBytes: number): void;
  cryptPiece(at: number, bytes: number): void;
  hashPiece(at: number, bytes: number): void;
  tag(at: number): void;
  hasTag(at: number): number;
  end(): void;
  encryptBlocks(bytes: number): void;
  chain(bytes: number): void;
  startStream(): void;
  hmac(keyBytes: number, bytes: number): void;
  derive(keyBytes: number, infoBytes: number, bytes: number): void;
  sealBody(infoBytes: number, bytes: number): void;
  openBody(infoBytes: number, bytes: number): number;
  encode(from: number, bytes: number): number;
  decode(to: number, characters: number): number;
}

/** An instance whose answers were checked once. */
export interface Wasm {
  readonly call: WasmFunctions;
  /** All of its memory. */
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Where its regions begin. */
  readonly at: WasmPlaces;
}

export interface WasmPlaces {
  readonly aad: number;
  readonly io: number;
  readonly key: number;
  readonly schedule: number;
  readonly info: number;
  readonly out: number;
  readonly text: number;
  readonly pool: number;
}

/**
 * Makes the one instance of this thread when it is first asked for.
 *
 * @returns undefined where there is none: no WebAssembly, no SIMD, a Content-Security-Policy without `wasm-unsafe-eval`, no address space
 *   for its memory, or wrong answers. `wasmFailure` tells which
 */
export function wasmInstance(): Wasm | undefined {
  if (made === undefined) {
    try {
      made = checked(instantiate());
    } catch (error) {
      made = { failure: error };
    }
  }
  return "failure" in made ? undefined : made;
}

/** The reason why there is no instance, once one was asked for. */
export function wasmFailure(): unknown {
  return made !== undefined && "failure" in made ? made.failure : undefined;
}

/** Tells of an engine that has the module, or why it has not. Makes the instance if it was not made. */
export function wasmInfo(name: EngineName): EngineInfo {
  if (wasmInstance() !== undefined) return { name };
  const failure = wasmFailure();
  const message = `there is no WebAssembly module: ${failure instanceof Error ? failure.message : String(failure)}`;
  return { name, without: { part: "wasm", reason: failure instanceof WrongAnswer ? "wrong-answers" : "not-loadable", message } };
}

class WrongAnswer extends Error {}

function instantiate(): Wasm {
  const text = atob(MODULE);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  if (!isComplete(exports)) throw new Error("the module lacks a function");
  const { buffer } = exports.memory;
  if (!(buffer instanceof ArrayBuffer)) throw new Error("the module's memory is shared");
  const place = (region: number): number => exports.place(region);
  const at = {
    aad: place(0),
    io: place(1),
    key: place(2),
    schedule: place(3),
    info: place(4),
    out: place(5),
    text: place(6),
    pool: place(7),
  };
  return { call: exports, memory: new Uint8Array(buffer), at };
}

function isComplete(exports: object): exports is WasmFunctions {
  if (!("memory" in exports && exports.memory instanceof WebAssembly.Memory)) return false;
  return FUNCTIONS.every((name) => typeof Reflect.get(exports, name) === "function");
}

/**
 * Known answers, one of each construction: a runtime that compiles the module wrongly must not encrypt with it.
 *
 * @throws if one is wrong
 */
function checked(wasm: Wasm): Wasm {
  const { call, memory, at } = wasm;
  const pattern = (start: number, bytes: number): void => {
    for (let index = 0; index < bytes; index++) memory[start + index] = (37 * index + 11) & 0xff;
  };
  const expectAt = (start: number, hex: string, what: string): void => {
    if (toHex(memory.subarray(start, start + hex.length / 2)) !== hex) throw new WrongAnswer(`wrong answer of the self-test: ${what}`);
  };
  const schedule = (): void => {
    pattern(at.key, XAES_KEY_BYTES);
    call.makeSchedule();
  };
  schedule();
  pattern(at.aad, 20);
  pattern(at.io, XAES_NONCE_BYTES + 75);
  call.seal(0, 20, 75);
  expectAt(at.io + XAES_NONCE_BYTES + 75, SEALED_TAG, "XAES-256-GCM");
  schedule();
  if (call.open(0, 20, 75) !== 1) throw new WrongAnswer("wrong answer of the self-test: opening");
  schedule();
  memory[at.io + XAES_NONCE_BYTES] = memory[at.io + XAES_NONCE_BYTES] === 0 ? 1 : 0;
  if (call.open(0, 20, 75) !== 0) throw new WrongAnswer("wrong answer of the self-test: refusing");
  pattern(at.key, XAES_KEY_BYTES);
  pattern(at.info, 130);
  call.derive(XAES_KEY_BYTES, 130, 77);
  expectAt(at.out + 45, DERIVED_END, "HKDF-SHA-512");
  pattern(at.io, 20);
  expectAt(at.text, ENCODED, call.encode(0, 20) === 27 ? "base64url" : "the length of base64url");
  if (call.decode(1, 27) !== 20 || memory[at.io + 20] !== ((37 * 19 + 11) & 0xff))
    throw new WrongAnswer("wrong answer of the self-test: decoding");
  wipe(memory.subarray(at.io, at.io + 140), memory.subarray(at.out, at.out + 77));
  return wasm;
}

const FUNCTIONS: readonly (keyof WasmFunctions)[] = [
  "place",
  "makeSchedule",
  "seal",
  "open",
  "startXaes",
  "start",
  "cryptPiece",
  "hashPiece",
  "tag",
  "hasTag",
  "end",
  "encryptBlocks",
  "chain",
  "startStream",
  "hmac",
  "derive",
  "sealBody",
  "openBody",
  "encode",
  "decode",
];

// Made with OpenSSL. Each byte of what goes in is 37 times its place, and 11.
const SEALED_TAG = "7e850ffdfa3cfa7e014a9a4adfffef1e";
/** The text of 20 bytes. */
const ENCODED = "437a425665705f453651347a57483269782d77524e6c754170636f";
const DERIVED_END = "f48d51e59a67fee47886f50ef665dc67aeab68db82deb69114769274a2ff5ea4";

let made: Wasm | { readonly failure: unknown } | undefined;
