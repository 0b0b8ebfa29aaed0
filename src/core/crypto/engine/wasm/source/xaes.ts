// XAES-256-GCM (C2SP): the first 12 bytes of a nonce derive a key, under which the other 12 are the nonce of AES-256-GCM.

import { encrypt1, encrypt2, schedule, ZERO } from "./aes";
import { KEY, SCHEDULE } from "./layout";

const BLOCKS: usize = memory.data(32, 16);
/** The round keys, 15 of 16 bytes. The masks stand behind them. */
const MASKS: usize = SCHEDULE + 240;

/** Makes the schedule of the key at KEY, which it wipes: round keys, and both blocks of a nonce of zeros before their encryption. */
export function makeSchedule(): void {
  schedule(KEY, SCHEDULE);
  memory.fill(KEY, 0, 32);
  v128.store(BLOCKS, ZERO);
  encrypt1(SCHEDULE, BLOCKS);
  // the subkey is twice the encrypted block of zeros in GF(2^128), RFC 4493 §2.3
  const top = bswap<u64>(load<u64>(BLOCKS));
  const bottom = bswap<u64>(load<u64>(BLOCKS, 8));
  const subkeyTop = bswap<u64>((top << 1) | (bottom >> 63));
  const subkeyBottom = bswap<u64>((bottom << 1) ^ (0x87 & (0 - (top >> 63))));
  store<u64>(MASKS, subkeyTop ^ 0x0000000000580100); // 00 01 58 00
  store<u64>(MASKS, subkeyBottom, 8);
  store<u64>(MASKS, subkeyTop ^ 0x0000000000580200, 16); // 00 02 58 00
  store<u64>(MASKS, subkeyBottom, 24);
  v128.store(BLOCKS, ZERO);
}

/** Writes the key of a nonce, 32 bytes, to KEY. */
export function deriveKey(nonce: usize): void {
  memory.copy(BLOCKS, MASKS, 32);
  for (let at: usize = 0; at < 32; at += 16) {
    store<u64>(BLOCKS + at, load<u64>(BLOCKS + at, 4) ^ load<u64>(nonce), 4);
    store<u32>(BLOCKS + at, load<u32>(BLOCKS + at, 12) ^ load<u32>(nonce, 8), 12);
  }
  encrypt2(SCHEDULE, BLOCKS);
  memory.copy(KEY, BLOCKS, 32);
  memory.fill(BLOCKS, 0, 32);
}
