/** A data key, in bytes. docs/format.md §1 */
export const DATA_KEY_BYTES = 32;

/** The tag of an AES-GCM, in bytes, whatever is sealed with it. */
export const TAG_BYTES = 16;
