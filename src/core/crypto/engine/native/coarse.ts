import { SALT_BYTES, XAES_KEY_BYTES, XAES_NONCE_BYTES, XAES_OVERHEAD_BYTES } from "../../../contracts/suite.ts";
import { plaintextBytesOf } from "../../body-sizes.ts";
import { copyIn, copyPartsIn, Results } from "../copies.ts";
import type { ChunkKeys, CoarseEngine, CoarseXaes, Opened } from "../engine.ts";
import type { NativeFunctions } from "./functions.ts";
import { AAD_AT, AAD_ROOM, INFO_AT, INFO_ROOM, MESSAGE_AT, MESSAGE_ROOM, PREFIX_ROOM, SECRET_AT, SECRET_ROOM } from "./scratch.ts";

/**
 * The coarse engine over `@envelock/native`. What is small passes through one scratch, because taking an array apart costs as much as
 * encrypting what is in it; the package wipes what is secret there.
 *
 * @param allocate memory with whatever was there before
 */
export function nativeCoarse(native: NativeFunctions, allocate: (bytes: number) => Uint8Array<ArrayBuffer>): CoarseEngine {
  const scratch = new Uint8Array(native.scratch);
  const message = new Results(scratch, MESSAGE_AT);
  const plain = new Results(scratch, TEXT_AT);

  const xaes = (key: Uint8Array): CoarseXaes => {
    const kept = new Uint8Array(new ArrayBuffer(2 * XAES_KEY_BYTES));
    copyIn(scratch, key, SECRET_AT);
    native.prepare(kept);

    /** The nonce stands in the scratch, or is made there. */
    const sealSmall = (aad: Uint8Array, plaintext: Uint8Array, isFresh: boolean): number => {
      copyIn(scratch, aad, AAD_AT);
      copyIn(scratch, plaintext, TEXT_AT);
      return native.seal(kept, aad.length, plaintext.length, isFresh);
    };

    return {
      sealFresh(aad, plaintext, target, offset) {
        if (aad.length > AAD_ROOM) return undefined;
        if (plaintext.length > SMALL_BYTES) {
          if (!arePlain(plaintext, target)) return undefined;
          copyIn(scratch, aad, AAD_AT);
          return native.sealInto(kept, aad.length, plaintext, target, offset);
        }
        const written = sealSmall(aad, plaintext, true);
        message.copyTo(target, offset, written);
        return written;
      },
      dangerSealWithNonce(nonce, aad, plaintext, target, offset) {
        if (aad.length > AAD_ROOM || plaintext.length > MOST_SMALL_BYTES) return undefined;
        copyIn(scratch, nonce, MESSAGE_AT);
        const written = sealSmall(aad, plaintext, false) - XAES_NONCE_BYTES;
        plain.copyTo(target, offset, written);
        return written;
      },
      open(aad, sealed, offset) {
        const bytes = sealed.length - offset - XAES_OVERHEAD_BYTES;
        if (bytes < 0 || aad.length > AAD_ROOM) return undefined;
        if (bytes > SMALL_BYTES) {
          if (!arePlain(sealed)) return undefined;
          copyIn(scratch, aad, AAD_AT);
          const plaintext = allocate(bytes);
          const isOpen = native.openInto(kept, aad.length, sealed, offset, plaintext);
          return isOpen === true ? plaintext : isOpen;
        }
        copyIn(scratch, aad, AAD_AT);
        const isAfterPrefix = offset <= PREFIX_ROOM; // what stands before the message then goes along, which is cheaper than a view
        copyIn(scratch, isAfterPrefix ? sealed : sealed.subarray(offset), isAfterPrefix ? MESSAGE_AT - offset : MESSAGE_AT);
        return native.open(kept, aad.length, bytes) && plain.take(bytes);
      },
      sealText(aad, prefix, text) {
        if (aad.length > AAD_ROOM || prefix.length > PREFIX_ROOM) return undefined;
        copyIn(scratch, aad, AAD_AT);
        copyIn(scratch, prefix, MESSAGE_AT - prefix.length);
        return native.sealText(kept, aad.length, prefix.length, text);
      },
      openText(aad, prefix, token) {
        if (aad.length > AAD_ROOM || prefix.length > PREFIX_ROOM) return undefined;
        copyIn(scratch, aad, AAD_AT);
        copyIn(scratch, prefix, MESSAGE_AT - prefix.length);
        return native.openText(kept, aad.length, prefix.length, token);
      },
      destroy() {
        kept.fill(0);
        native.forget();
      },
    };
  };

  /** Returns the length of the info, or undefined if it is too long. */
  const writeInfo = (parts: readonly Uint8Array[]): number | undefined => copyPartsIn(scratch, parts, INFO_AT, INFO_ROOM);

  const writeChunkKeys = ({ key, base }: ChunkKeys): void => {
    copyIn(scratch, base, copyIn(scratch, key, SECRET_AT));
  };

  return {
    randomKey(bytes) {
      if (bytes > MESSAGE_ROOM) return undefined;
      native.random(bytes);
      return message.take(bytes);
    },
    xaes,
    expand(hash, key, info, bytes) {
      const isWide = hash === "sha512";
      if (key.length > (isWide ? SECRET_ROOM : SECRET_ROOM / 2) || bytes > MESSAGE_ROOM) return undefined;
      const infoBytes = writeInfo(info);
      if (infoBytes === undefined) return undefined;
      copyIn(scratch, key, SECRET_AT);
      native.expand(isWide, key.length, infoBytes, bytes);
      return message.take(bytes);
    },
    sealBody(inputKey, salt, info, plaintext, target, offset) {
      const infoBytes = arePlain(plaintext, target) ? writeInfo(info) : undefined;
      if (infoBytes === undefined || salt.length !== SALT_BYTES) return undefined;
      copyIn(scratch, inputKey, SECRET_AT);
      copyIn(scratch, salt, MESSAGE_AT);
      return native.sealBody(infoBytes, plaintext, target, offset);
    },
    openBody(inputKey, info, body): Opened | undefined {
      const bytes = plaintextBytesOf(body.length);
      const infoBytes = bytes !== undefined && arePlain(body) ? writeInfo(info) : undefined;
      if (bytes === undefined || infoBytes === undefined) return undefined;
      const plaintext = allocate(bytes);
      copyIn(scratch, inputKey, SECRET_AT);
      return native.openBody(infoBytes, body, plaintext) && plaintext;
    },
    sealChunks(keys, firstChunk, plaintext, isEnd, target, offset) {
      if (!arePlain(plaintext, target)) return undefined;
      writeChunkKeys(keys);
      return native.sealChunks(firstChunk, plaintext, isEnd, target, offset);
    },
    openChunks(keys, firstChunk, sealed, target, offset) {
      if (!arePlain(sealed, target)) return undefined;
      writeChunkKeys(keys);
      return native.openChunks(firstChunk, sealed, target, offset);
    },
  };
}

/**
 * Whether the package takes these arrays: memory of this thread alone, and not both the same. OpenSSL writes before it has read all, and
 * plaintext must be seen by nobody before its tag was checked.
 */
function arePlain(input: Uint8Array, target?: Uint8Array): boolean {
  if (!(input.buffer instanceof ArrayBuffer)) return false;
  return target === undefined || (target.buffer instanceof ArrayBuffer && target.buffer !== input.buffer);
}

/** The longest plaintext that passes through the scratch, if its array has no length that must be kept. */
const SMALL_BYTES = 96;
const TEXT_AT: number = MESSAGE_AT + XAES_NONCE_BYTES;
const MOST_SMALL_BYTES: number = MESSAGE_ROOM - XAES_OVERHEAD_BYTES;
