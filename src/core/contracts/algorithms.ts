const IDS = {
  xaes256Gcm: 1,
  aesGcm: 2,
  rsaOaep256: 3,
  hpkeX25519: 4,
  hpkeMlKem768X25519: 5,
  aesKw: 6,
  aesKwp: 7,
  rsaOaepSha1: 8,
  opaqueWithContext: 9,
  opaque: 10,
  both: 11,
  threshold: 12,
} as const;

/**
 * The wrapping algorithms of docs/format.md §3. Frozen: an id never changes its meaning.
 *
 * @example
 * const isLocalSymmetric = recipient.alg === WRAP_ALGORITHMS.xaes256Gcm;
 */
export const WRAP_ALGORITHMS: typeof IDS = Object.freeze(IDS);

/** The name to show for a wrapping algorithm, or undefined if this release does not know the id. */
export function wrapAlgorithmName(alg: number): string | undefined {
  return NAMES[alg];
}

const NAMES: Readonly<Record<number, string>> = {
  1: "XAES-256-GCM",
  2: "AES-GCM",
  3: "RSA-OAEP-256",
  4: "HPKE X25519",
  5: "HPKE MLKEM768-X25519",
  6: "AES-KW",
  7: "AES-KWP",
  8: "RSA-OAEP (SHA-1)",
  9: "service blob, binds context",
  10: "service blob",
  11: "both of two keys",
  12: "threshold of keys",
};
