import { EnvelockError } from "../../src/core/base/errors.ts";
import type { Finding } from "../../src/core/contracts/finding.ts";

/** Collects the findings of a doctor's checks, in order. A check that needs an earlier one is skipped if that failed. */
export class Findings<Check extends string> {
  readonly #found: Finding<Check>[] = [];

  get all(): readonly Finding<Check>[] {
    return this.#found;
  }

  ok(check: Check, message: string): void {
    this.#found.push({ check, status: "ok", message });
  }

  warn(check: Check, message: string, advice: string): void {
    this.#found.push({ check, status: "warning", message, advice });
  }

  fail(check: Check, message: string, advice?: string): void {
    this.#found.push({ check, status: "failed", message, ...(advice !== undefined && { advice }) });
  }

  /** Records an error as the failure of a check. @throws any error that is no `EnvelockError` */
  failWith(check: Check, error: unknown): void {
    if (!(error instanceof EnvelockError)) throw error;
    this.fail(check, error.message, error.hint);
  }

  skip(checks: readonly Check[], message: string): void {
    for (const check of checks) this.#found.push({ check, status: "skipped", message });
  }

  /** Runs a check. @returns its result; undefined if it failed, which is recorded */
  async try<T>(check: Check, run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      this.failWith(check, error);
      return undefined;
    }
  }
}
