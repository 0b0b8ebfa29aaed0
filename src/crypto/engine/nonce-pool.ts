/**
 * A small pool of random bytes, because a system call per nonce costs more than the encryption that it is for.
 * What has been handed out is wiped from the pool. Kept small: a snapshot of a running machine repeats at most what is left in it.
 */
export function createNoncePool(fillRandom: (target: Uint8Array<ArrayBuffer>) => void): (bytes: number) => Uint8Array<ArrayBuffer> {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (bytes) => {
    const nonce = new Uint8Array(bytes);
    if (bytes > POOL_BYTES - used) {
      fillRandom(pool);
      used = 0;
    }
    for (let at = 0; at < bytes; at++) {
      nonce[at] = pool[used] ?? 0;
      pool[used++] = 0;
    }
    return nonce;
  };
}

const POOL_BYTES = 3072;
