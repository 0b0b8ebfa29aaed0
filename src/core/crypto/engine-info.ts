import { engine } from "#engine";
import type { EngineInfo } from "./engine/engine.ts";

/**
 * Tells what does the cryptography in this thread, and what faster part it goes without. Loads `@envelock/native`, or compiles the
 * WebAssembly module, if the engine takes it and no key was used before.
 *
 * @see docs/engines.md
 * @example
 * ```ts
 * import { engineInfo } from "envelock";
 *
 * const { name, without } = engineInfo();
 * console.log(name, without?.message); // "node", "@envelock/native is not installed"
 * ```
 */
export function engineInfo(): EngineInfo {
  return engine.info();
}

/** Goes without `@envelock/native` from now on. The library itself never asks for that: see `node --conditions=envelock-node`. */
export function refuseNative(message: string): void {
  engine.withoutNative?.(message);
}
