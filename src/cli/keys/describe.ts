import type { Context } from "../../core/base/context.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { KeyRowFailure, KeyRowsReport } from "../../fields/jobs/key-rows.ts";
import { PURPOSE } from "../../fields/scope.ts";
import { tellFailure } from "../failure.ts";
import { terminalText } from "../terminal-text.ts";

/**
 * Returns `region=eu,tenant=acme`, sorted by key; `-` for the empty scope. What the library adds is left out.
 *
 * No two scopes have the same line: a backslash stands before commas and backslashes, in keys also before an equals sign.
 */
export function scopeLine(context: Context | undefined): string {
  if (context === undefined) return "?";
  const pairs = Object.entries(context).filter(([key]) => key !== PURPOSE);
  if (pairs.length === 0) return "-";
  const lines = pairs.map(([key, value]) => `${key.replace(/[\\,=]/g, "\\$&")}=${value.replace(/[\\,]/g, "\\$&")}`);
  return terminalText(lines.sort().join(","));
}

/** Tells of what failed on standard error, and makes the command fail. */
export function tellFailures({ failed, failures }: Pick<KeyRowsReport, "failed" | "failures">, isDebug: boolean): void {
  if (failed === 0) return;
  process.exitCode = 1;
  for (const { scope, version, error } of failures) {
    tellRow(error, isDebug, scope, version);
  }
  if (failed > failures.length) process.stderr.write(`and ${failed - failures.length} more\n`);
}

/** Tells of a row of the store that failed. What is wrong with the row itself is no envelope that could be inspected. */
export function tellRow(error: EnvelockError, isDebug: boolean, scope: Context | undefined, version: number): void {
  const { code, message, cause, hint = ROW_HINT } = error;
  const told = code === "malformed-envelope" ? new EnvelockError(code, message, { cause, hint }) : error;
  tellFailure(told, isDebug, `${scopeLine(scope)} version ${version}`);
}

/** A report as JSON can hold it: of errors, what is safe to show. Without what only a job with several keyrings has. */
export function withPlainFailures<R extends KeyRowsReport>(report: R): unknown {
  const { skipped: _skipped, scopes: _scopes, failures, ...counts } = report;
  return { ...counts, failures: failures.map(plainFailure) };
}

export function plainFailure({ scope, purpose, version, error }: KeyRowFailure): unknown {
  return { scope, purpose, version, error: plainError(error) };
}

export function plainError({ code, message, retryable }: EnvelockError): unknown {
  return { code, message, retryable };
}

const ROW_HINT = "take the row from a backup of the table; the other rows are not affected";
