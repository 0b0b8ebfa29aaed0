import { concatBytes, type OwnedBytes, ownedBytes, wipe } from "../../core/base/bytes.ts";
import { authenticationFailed, malformed } from "../../core/base/errors.ts";

/** AES-256-CBC with PKCS#7 of protocol 1.0. It authenticates nothing: changed bits come out as changed plaintext. */
export class CbcBody {
  readonly #key: Promise<ImportedKey>;

  constructor(contentKey: Uint8Array) {
    this.#key = crypto.subtle.importKey("raw", ownedBytes(contentKey.slice()), "AES-CBC", false, ["encrypt", "decrypt"]);
  }

  /**
   * Decrypts neighbouring blocks.
   *
   * @param before the block before the first, or the initial one
   * @param isLast whether the last block is the body's: its padding is then checked and cut
   * @throws `authentication-failed` for padding that is none
   */
  async decrypt(before: Uint8Array, blocks: Uint8Array, isLast: boolean): Promise<OwnedBytes> {
    if (blocks.length === 0) return new Uint8Array(0);
    const key = await this.#key;
    const ciphertext = isLast ? ownedBytes(blocks) : concatBytes(blocks, await emptyEnd(key, blocks.slice(-BLOCK_BYTES)));
    try {
      return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv: ownedBytes(before.slice()) }, key, ciphertext));
    } catch {
      throw authenticationFailed();
    }
  }
}

/** Checks the length of a body. @throws `malformed-envelope` */
export function requireBlocks(storedBytes: number): void {
  if (storedBytes >= BLOCK_BYTES && storedBytes % BLOCK_BYTES === 0) return;
  throw malformed(`the body has ${storedBytes} bytes, expected a multiple of 16 from 16`);
}

/** Decrypts a body in bounded memory, held back by one block, since only the last has padding. @throws as `CbcBody.decrypt` */
export async function* openedBlocks(
  windows: AsyncIterable<Uint8Array>,
  body: CbcBody,
  firstBlock: Uint8Array,
): AsyncGenerator<OwnedBytes, void, undefined> {
  let before = firstBlock;
  let held: Uint8Array | undefined;
  for await (const window of windows) {
    if (held !== undefined) {
      yield await body.decrypt(before, held, false);
      before = held.slice(-BLOCK_BYTES);
    }
    held = window.slice();
  }
  requireBlocks(held?.length ?? 0);
  if (held !== undefined) yield await body.decrypt(before, held, true);
}

/** The block that continues a ciphertext with whole padding, so that WebCrypto decrypts a part without its end. */
async function emptyEnd(key: ImportedKey, last: Uint8Array): Promise<OwnedBytes> {
  const nothing = new Uint8Array(0);
  try {
    return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv: ownedBytes(last) }, key, nothing));
  } finally {
    wipe(last);
  }
}

type ImportedKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

export const BLOCK_BYTES = 16;
/** Whole blocks that are decrypted at once. */
export const WINDOW_BYTES = 262_144;
