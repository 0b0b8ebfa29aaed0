import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import type { Finding } from "../../src/core/contracts/finding.ts";

/** Collects the findings of a doctor's checks, in order. A check that needs an earlier one is skipped if that failed. */
export class Findings<Check extends string> {
  readonly #found: Finding<Check>[] = [];

  get all(): readonly Finding<Check>[] {
    return this.#found;
  }

  add(finding: Finding<Check>): void {
    this.#found.push(finding);
  }

  ok(check: Check, message: string): void {
    this.#found.push({ check, status: "ok", message });
  }

  warn(check: Check, message: string, advice: string): void {
    this.#found.push({ check, status: "warning", message, advice });
  }

  fail(check: Check, message: string, advice: string): void {
    this.#found.push({ check, status: "failed", message, advice });
  }

  /** Records an error as the failure of a check. @throws any error that is no `EnvelockError` */
  failWith(check: Check, error: unknown): void {
    if (!(error instanceof EnvelockError)) throw error;
    this.#found.push({ check, status: "failed", message: error.message, advice: adviceAfter(error), code: error.code });
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

/** Runs a call that a doctor can do without. @returns undefined if it failed @throws any error that is no `EnvelockError` */
export async function optional<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof EnvelockError) return undefined;
    throw error;
  }
}

/** Returns the next step after a failed check: the error's own hint, or what its code leaves to do. */
export function adviceAfter({ code, hint }: EnvelockError): string {
  return hint ?? ADVICE[code];
}

const ADVICE: Readonly<Record<ErrorCode, string>> = {
  "invalid-argument": "correct the configuration as the message says",
  "malformed-envelope": "look for a proxy or gateway that changes what the service answers",
  "unsupported-version": "update this package: the service answers in a form that it does not know",
  "no-matching-provider": "compare the configured key id with the one that the service names",
  "authentication-failed": "look for a proxy or gateway that changes what the service answers",
  "unwrap-rejected": "compare the configured key with the one that wrapped: it is another key, version or context",
  "key-not-found": "check the name of the key, and whether it was deleted",
  "key-disabled": "enable the key version where it is kept",
  "access-denied": "grant this identity the rights that the provider's page lists",
  "rate-limited": "wait a moment and run it again, or raise the quota of the service",
  unavailable: "check that the service runs, and firewalls, routes and proxies between here and there",
  timeout: "check firewalls, routes and proxies between here and there, or allow more time",
  closed: "make a new provider: this one was closed",
  "provider-failure": "look at the cause of the error, and at the log of the service",
  "key-shredded": "use another key: this one was destroyed for good",
};
