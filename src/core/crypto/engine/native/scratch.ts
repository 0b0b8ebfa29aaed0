// Where small bytes go in and out of `@envelock/native`: src/native/envelock.c has the same numbers.

export const AAD_AT = 0;
export const AAD_ROOM = 8704;
/** A key for one call: of XAES, HMAC (a block of its hash at most), a body, or key and base of chunks. */
export const SECRET_AT: number = AAD_AT + AAD_ROOM;
export const SECRET_ROOM = 128;
export const INFO_AT: number = SECRET_AT + SECRET_ROOM;
export const INFO_ROOM = 8704;
export const PREFIX_ROOM = 32;
/** `nonce | ciphertext | tag`, what is derived, or a salt. The prefix of a token ends here. */
export const MESSAGE_AT: number = INFO_AT + INFO_ROOM + PREFIX_ROOM;
export const MESSAGE_ROOM = 1024;
export const SCRATCH_BYTES: number = MESSAGE_AT + MESSAGE_ROOM;
