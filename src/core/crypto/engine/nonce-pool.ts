/**
 * A small pool of random bytes, because a system call per nonce costs as much as the encryption that it is for. What has been handed
 * out is wiped from the pool. Kept small: a copy of a running machine repeats at most what is left in it (docs/threat-model.md).
 */
export function createNoncePool(fillRandom: (target: Uint8Array<ArrayBuffer>) => void): (bytes: number) => Uint8Array<ArrayBuffer> {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (bytes) => {
    if (bytes > POOL_BYTES - used) {
      fillRandom(pool);
      used = 0;
    }
    const handed = pool.subarray(used, used + bytes);
    const nonce = new Uint8Array(bytes);
    nonce.set(handed);
    handed.fill(0);
    used += bytes;
    return nonce;
  };
}

const POOL_BYTES = 3072;
