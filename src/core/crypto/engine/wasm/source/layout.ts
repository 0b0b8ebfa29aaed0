// Where callers find things in the module's memory. What is secret there is wiped by the function that used it.

/** Associated data. A context and its label have 8,226 bytes at most. */
export const AAD: usize = memory.data(8704, 16);
/** A message, which is worked on in place: nonce or salt, text, tag. */
export const IO: usize = memory.data(33024, 16);
/** The key of an HMAC, of a cipher or of a body. The function that reads it wipes it. */
export const KEY_BYTES: u32 = 128;
export const KEY: usize = memory.data(128, 16);
/** Round keys of AES-256, then the masks of XAES. Callers keep a schedule in memory of their own and bring it for each call. */
export const SCHEDULE: usize = memory.data(272, 16);
/** The message of an HMAC, or the info of a derivation. */
export const INFO: usize = memory.data(8704, 16);
/** What was derived. */
export const OUT: usize = memory.data(1024, 16);
/** The text of a token. */
export const TEXT: usize = memory.data(2048, 16);
/** Random bytes for nonces. */
export const POOL: usize = memory.data(3072, 16);
