import { byteAt, utf8Length } from "../../../base/bytes.ts";
import { TAG_BYTES, XAES_NONCE_BYTES, XAES_OVERHEAD_BYTES } from "../../../contracts/suite.ts";
import { BODY_PREFIX_BYTES } from "../../body-sizes.ts";
import { copyIn, copyPartsIn, Results, taken } from "../copies.ts";
import type { CoarseEngine, CoarseXaes, Opened } from "../engine.ts";
import type { Wasm } from "./instance.ts";
import { openPieces, PIECE_BYTES, sealPieces } from "./pieces.ts";

/** What differs between runtimes. */
export interface WasmRuntime {
  fillRandom(target: Uint8Array<ArrayBuffer>): void;
  /** Text in the module's memory. */
  textIn(memory: Uint8Array<ArrayBuffer>): MemoryText;
  /** The longest plaintext that is sealed here. A longer one goes the fine way, which is faster for it. */
  readonly maxXaesBytes: number;
  /** The same of a body's plaintext, which is one chunk. */
  readonly maxBodyBytes: number;
}

export interface MemoryText {
  /** Writes UTF-8. Returns how many bytes it has; without room for it, any other number. */
  write(text: string, at: number, room: number): number;
  /** Returns what ASCII says. */
  ascii(at: number, end: number): string;
  /** Returns what UTF-8 says, or undefined if it is not well formed. */
  utf8(at: number, end: number): string | undefined;
}

/**
 * The coarse engine over the module. Its memory holds nothing between two calls: keys stay in arrays of their own, are brought for each
 * call, and are wiped there. So nothing has to be freed, and an error in it could not show another key.
 */
export function wasmCoarse(wasm: Wasm, runtime: WasmRuntime): CoarseEngine {
  const { call, memory, at } = wasm;
  const text = runtime.textIn(memory);
  const message = new Results(memory, at.io);
  const plain = new Results(memory, at.io + PREFIX_ROOM + XAES_NONCE_BYTES);
  const bodyPlain = new Results(memory, at.io + BODY_PREFIX_BYTES);
  const derived = new Results(memory, at.out);
  const pool = memory.subarray(at.pool, at.pool + POOL_BYTES);
  let poolUsed = POOL_BYTES;

  /** Kept small, and wiped as it is used: see `createNoncePool`. */
  const writeNonce = (target: number): void => {
    if (poolUsed + XAES_NONCE_BYTES > POOL_BYTES) {
      runtime.fillRandom(pool);
      poolUsed = 0;
    }
    const from = at.pool + poolUsed;
    for (let byte = 0; byte < XAES_NONCE_BYTES; byte++) {
      memory[target + byte] = byteAt(memory, from + byte);
      memory[from + byte] = 0;
    }
    poolUsed += XAES_NONCE_BYTES;
  };

  const xaes = (key: Uint8Array): CoarseXaes => {
    const schedule = scheduleOf(wasm, key);

    const begin = (aad: Uint8Array): void => {
      memory.set(schedule, at.schedule);
      copyIn(memory, aad, at.aad);
    };
    const takes = (aad: Uint8Array, bytes: number): boolean => bytes <= runtime.maxXaesBytes && aad.length <= AAD_BYTES;

    /** The nonce stands in the memory. */
    const seal = (aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): number => {
      const bytes = plaintext.length;
      begin(aad);
      if (bytes > PIECE_BYTES) {
        message.copyTo(target, offset, XAES_NONCE_BYTES);
        call.startXaes(0, aad.length);
        return XAES_NONCE_BYTES + sealPieces(wasm, plaintext, target, offset + XAES_NONCE_BYTES);
      }
      copyIn(memory, plaintext, at.io + XAES_NONCE_BYTES);
      call.seal(0, aad.length, bytes);
      message.copyTo(target, offset, bytes + XAES_OVERHEAD_BYTES);
      return bytes + XAES_OVERHEAD_BYTES;
    };

    return {
      sealFresh(aad, plaintext, target, offset) {
        if (!takes(aad, plaintext.length)) return undefined;
        writeNonce(at.io);
        return seal(aad, plaintext, target, offset);
      },
      dangerSealWithNonce(nonce, aad, plaintext, target, offset) {
        if (!takes(aad, plaintext.length)) return undefined;
        copyIn(memory, nonce, at.io);
        const sealed = new Uint8Array(plaintext.length + XAES_OVERHEAD_BYTES);
        const written = seal(aad, plaintext, sealed, 0) - XAES_NONCE_BYTES;
        target.set(sealed.subarray(XAES_NONCE_BYTES), offset);
        return written;
      },
      open(aad, sealed, offset) {
        const bytes = sealed.length - offset - XAES_OVERHEAD_BYTES;
        if (bytes < 0 || !takes(aad, bytes)) return undefined;
        begin(aad);
        if (bytes > PIECE_BYTES) {
          copyIn(memory, sealed.subarray(offset, offset + XAES_NONCE_BYTES), at.io);
          call.startXaes(0, aad.length);
          return openPieces(wasm, sealed.subarray(offset + XAES_NONCE_BYTES));
        }
        const isAfterPrefix = offset <= PREFIX_ROOM; // what stands before the message then goes along, which is cheaper than a view
        copyIn(memory, isAfterPrefix ? sealed : sealed.subarray(offset), at.io + PREFIX_ROOM - (isAfterPrefix ? offset : 0));
        if (call.open(PREFIX_ROOM, aad.length, bytes) !== 1) return false;
        return plain.take(bytes);
      },
      sealText(aad, prefix, plaintext) {
        if (3 * plaintext.length > MAX_TEXT_BYTES || prefix.length > PREFIX_ROOM || !takes(aad, 3 * plaintext.length)) return undefined;
        const start = at.io + PREFIX_ROOM + XAES_NONCE_BYTES;
        const bytes = text.write(plaintext, start, MAX_TEXT_BYTES);
        if (bytes !== plaintext.length && bytes !== utf8Length(plaintext)) {
          memory.fill(0, start, start + MAX_TEXT_BYTES);
          return undefined;
        }
        begin(aad);
        writeNonce(at.io + PREFIX_ROOM);
        copyIn(memory, prefix, at.io + PREFIX_ROOM - prefix.length);
        call.seal(PREFIX_ROOM, aad.length, bytes);
        const characters = call.encode(PREFIX_ROOM - prefix.length, prefix.length + bytes + XAES_OVERHEAD_BYTES);
        return text.ascii(at.text, at.text + characters);
      },
      openText(aad, prefix, token) {
        if (token.length > MAX_TOKEN_CHARACTERS || prefix.length > PREFIX_ROOM) return undefined;
        if (text.write(token, at.text, MAX_TOKEN_CHARACTERS) !== token.length) return undefined; // foreign characters
        const start = PREFIX_ROOM - prefix.length;
        const bytes = call.decode(start, token.length) - prefix.length - XAES_OVERHEAD_BYTES;
        if (bytes < 0 || !takes(aad, bytes)) return undefined;
        for (let byte = 0; byte < prefix.length; byte++) if (memory[at.io + start + byte] !== prefix[byte]) return undefined;
        begin(aad);
        if (call.open(PREFIX_ROOM, aad.length, bytes) !== 1) return false;
        const from = at.io + PREFIX_ROOM + XAES_NONCE_BYTES;
        const plaintext = text.utf8(from, from + bytes);
        memory.fill(0, from, from + bytes);
        return plaintext;
      },
      destroy: () => schedule.fill(0),
    };
  };

  return {
    randomKey: () => undefined,
    xaes,
    expand(hash, key, info, bytes) {
      if (hash !== "sha512" || key.length > KEY_BYTES || bytes > OUT_BYTES) return undefined;
      const infoBytes = writeInfo(wasm, info);
      if (infoBytes === undefined) return undefined;
      copyIn(memory, key, at.key);
      call.derive(key.length, infoBytes, bytes);
      return derived.take(bytes);
    },
    sealBody(inputKey, salt, info, plaintext, target, offset) {
      const bytes = plaintext.length;
      if (bytes > runtime.maxBodyBytes) return undefined;
      const infoBytes = writeInfo(wasm, info);
      if (infoBytes === undefined) return undefined;
      copyIn(memory, inputKey, at.key);
      copyIn(memory, salt, at.io);
      copyIn(memory, plaintext, at.io + BODY_PREFIX_BYTES);
      call.sealBody(infoBytes, bytes);
      message.copyTo(target, offset, bytes + BODY_PREFIX_BYTES + TAG_BYTES);
      return bytes + BODY_PREFIX_BYTES + TAG_BYTES;
    },
    openBody(inputKey, info, body): Opened | undefined {
      const bytes = body.length - BODY_PREFIX_BYTES - TAG_BYTES;
      if (bytes < 0 || bytes > runtime.maxBodyBytes) return undefined;
      const infoBytes = writeInfo(wasm, info);
      if (infoBytes === undefined) return undefined;
      copyIn(memory, inputKey, at.key);
      copyIn(memory, body, at.io);
      if (call.openBody(infoBytes, bytes) !== 1) return false;
      return bodyPlain.take(bytes);
    },
    sealChunks: () => undefined,
    openChunks: () => undefined,
  };
}

/** Makes the round keys of AES-256 and the masks of XAES, in an array of their own. */
export function scheduleOf({ call, memory, at }: Wasm, key: Uint8Array): Uint8Array {
  copyIn(memory, key, at.key);
  call.makeSchedule();
  return taken(memory, at.schedule, SCHEDULE_BYTES);
}

/** Writes the message of an HMAC, or the info of a derivation. Returns its length, or undefined if it is too long. */
export function writeInfo({ memory, at }: Wasm, parts: readonly Uint8Array[]): number | undefined {
  return copyPartsIn(memory, parts, at.info, INFO_BYTES);
}

// The sizes of the regions: source/layout.ts
export const AAD_BYTES = 8704;
const INFO_BYTES = 8704;
export const KEY_BYTES = 128;
const SCHEDULE_BYTES = 272;
const OUT_BYTES = 1024;
const POOL_BYTES = 3072;
const MAX_TOKEN_CHARACTERS = 2048;
/** The UTF-8 of a text whose token has as many characters as there is room for. */
const MAX_TEXT_BYTES = 1440;

/** What is left free before the nonce for the prefix of a token. */
const PREFIX_ROOM = 32;
