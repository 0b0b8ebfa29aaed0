import { vi } from "vitest";
import { engine } from "#engine";

/**
 * Hides the coarse engine until the mocks are restored, for tests that watch what passes the fine operations. What passes the coarse ones
 * is watched in test/wasm and in test/core/coarse-engine.test.ts.
 */
export function takeTheFineWay(): void {
  vi.spyOn(engine, "coarse", "get").mockReturnValue(undefined);
}
