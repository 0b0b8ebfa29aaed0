import { ascii, concatBytes } from "../base/bytes.ts";

// Suite 1, the only one there is: its number, its sizes and how it labels what it derives. docs/format.md §1. Nothing is negotiated: no
// size stands on the wire, and no caller chooses one. Another suite is another file beside this one, and what reads the suite byte
// chooses between them. Every size is in bytes.

export const SUITE = 1;
/** The hash of HKDF and of HMAC. */
export const SUITE_HASH = "sha512";

export const DATA_KEY_BYTES = 32;
/** What commits to a data key, its suite and its key context. */
export const KEY_COMMIT_BYTES = 32;
/** The start of the key commitment, by which tokens name a data key. */
export const KID_BYTES = 16;

/** The key of random tokens, XAES-256-GCM. docs/format.md §5 */
export const TOKEN_KEY_BYTES = 32;
/** The key of deterministic tokens, AES-SIV. docs/format.md §5 */
export const DETERMINISTIC_KEY_BYTES = 64;
/** The key of a blind index. docs/format.md §5.1 */
export const INDEX_KEY_BYTES = 32;
/** The key that proves a succession, and its MAC. docs/format.md §3.2 */
export const SUCCESSION_KEY_BYTES = 32;
export const SUCCESSION_MAC_BYTES = 32;

/** The tag of an AES-GCM, also where a provider seals with it. */
export const TAG_BYTES = 16;
/** The nonce of an AES-GCM. */
export const GCM_NONCE_BYTES = 12;
/** The key and the nonce of an XAES-256-GCM, which a token carries. */
export const XAES_KEY_BYTES = 32;
export const XAES_NONCE_BYTES = 24;
/** The bytes that an XAES-256-GCM adds to its plaintext: nonce and tag. */
export const XAES_OVERHEAD_BYTES: number = XAES_NONCE_BYTES + TAG_BYTES;
/** What an AES-SIV puts before its ciphertext. */
export const SIV_BYTES = 16;

/** The input key of a body, Cobblestone-256. docs/format.md §6 */
export const BODY_KEY_BYTES = 32;
export const SALT_BYTES = 24;
export const COMMITMENT_BYTES = 32;
/** The key of a body's chunks, which its salt derives. */
export const CHUNK_KEY_BYTES = 32;
/** Plaintext in every chunk but the last, which is shorter. */
export const CHUNK_BYTES = 16384;

/** The label of what is derived for a purpose: `"envelock/v1/" purpose | 00 | suite`. */
export function suiteInfo(purpose: string): Uint8Array {
  return concatBytes(ascii(`envelock/v1/${purpose}`), Uint8Array.of(0, SUITE));
}
