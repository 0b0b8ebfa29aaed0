import type { ErrorCode } from "../../../src/core/base/errors.ts";
import type { RawAnswer } from "../../../src/testing/emulator/fault-plan.ts";

/** An answer of a service, by order, and what the provider makes of it. */
export interface ErrorCase<Fault> {
  /** The beginning of the row in the page's table of errors. */
  readonly row: string;
  readonly what: string;
  readonly fault: Fault;
  /** The number of answers in a row, where one more try belongs to the row. Default 1. */
  readonly times?: number;
  readonly code: ErrorCode;
  readonly detail?: string;
  /** Default: as the code says. */
  readonly retryable?: boolean;
  /** Left out: there is no hint. */
  readonly hint?: RegExp;
  readonly retryAfterMs?: number;
  /** Whether it is the answer to a wrap. Default: to an unwrap. */
  readonly isToWrap?: true;
  /** Whether no answer comes, so that the provider needs a short time limit. */
  readonly isSlow?: true;
}

/** Faults that every service over HTTP meets alike. */
export function transportCases(): readonly ErrorCase<"reset" | "hang" | "garbage" | "cut" | "endless" | RawAnswer>[] {
  return [
    { row: "no connection", what: "reset", fault: "reset", times: 100, code: "unavailable", detail: "connection", hint: /host and port/ },
    { row: "no answer in `timeoutMs`", what: "hang", fault: "hang", code: "timeout", isSlow: true },
    {
      row: "an answer above 64 KiB",
      what: "endless",
      fault: "endless",
      code: "provider-failure",
      detail: "transport",
      retryable: true,
    },
    {
      row: "an answer above 64 KiB",
      what: "a header of 40 kB",
      fault: { status: 200, text: "{}", headers: { x: "a".repeat(40_000) } },
      code: "provider-failure",
      detail: "transport",
      retryable: true,
      hint: /proxy or gateway/,
    },
    ...[302, 307].map((status) => ({
      row: "a redirect",
      what: `${status}`,
      fault: { status, text: "", headers: { location: "https://127.0.0.1:1/" } },
      code: "provider-failure" as const,
      detail: "redirect",
      hint: /name the host that answers/,
    })),
    { row: "200 without", what: "no member", fault: { status: 200, text: "{}" }, code: "provider-failure", detail: "broken-answer" },
    ...(["garbage", "cut"] as const).map((fault) => ({
      row: "200 without",
      what: fault,
      fault,
      code: "provider-failure" as const,
      detail: "broken-answer",
    })),
  ];
}

/** The time limit of a provider that waits for an answer that does not come. */
export const NO_TIME_MS = 50;
