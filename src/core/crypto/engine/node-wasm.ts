import { randomFillSync } from "node:crypto";
import type { CoarseEngine, Engine } from "./engine.ts";
import { nodeCrypto } from "./node.ts";
import { bufferTextIn } from "./wasm/buffer-text.ts";
import { wasmCoarse } from "./wasm/coarse.ts";
import { wasmInfo, wasmInstance } from "./wasm/instance.ts";

let coarse: CoarseEngine | undefined;

/**
 * node:crypto, and the WebAssembly module for what is small: the calls into node:crypto cost more than its AES. For processes that start
 * with `--conditions=envelock-wasm`, and for Deno, where those calls cost most.
 */
export const engine: Engine = {
  ...nodeCrypto,
  name: "node-wasm",
  get coarse() {
    if (coarse !== undefined) return coarse;
    const wasm = wasmInstance();
    coarse = wasm && wasmCoarse(wasm, RUNTIME);
    return coarse;
  },
  info: () => wasmInfo("node-wasm"),
};

// From there on node:crypto is faster.
const RUNTIME = { fillRandom: randomFillSync, textIn: bufferTextIn, maxXaesBytes: 384, maxBodyBytes: 768 } as const;
