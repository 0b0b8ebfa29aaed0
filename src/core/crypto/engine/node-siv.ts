import { createCipheriv, createSecretKey, timingSafeEqual } from "node:crypto";
import { copyOf } from "../../base/bytes.ts";
import type { Siv } from "./engine.ts";
import { sivOver } from "./siv.ts";

/** AES-SIV over node:crypto's CBC and CTR: deterministic tokens are a hot path, and loading noble costs 20 ms. */
export function nodeSiv(key: Uint8Array): Siv {
  const half = key.length / 2;
  const [chainKey, counterKey] = [createSecretKey(key.subarray(0, half)), createSecretKey(key.subarray(half))];
  const [chainName, counterName] = [`aes-${half * 8}-cbc`, `aes-${half * 8}-ctr`];
  return sivOver({
    chained(message) {
      const blocks = createCipheriv(chainName, chainKey, ZERO_IV).setAutoPadding(false).update(message);
      return copyOf(blocks.subarray(blocks.length - BLOCK));
    },
    crypt: (counter, input, target, offset) => target.set(createCipheriv(counterName, counterKey, counter).update(input), offset),
    isEqual: timingSafeEqual,
    destroy: () => undefined, // node:crypto keeps its own copies of keys, and wipes them
  });
}

const BLOCK = 16;
const ZERO_IV: Uint8Array = new Uint8Array(BLOCK);
