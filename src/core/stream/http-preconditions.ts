import { timeOf } from "../base/dates.ts";
import { invalidArgument } from "../base/errors.ts";

/** The validators of the version that is served. */
export interface Validators {
  /** A strong entity tag, quoted. */
  readonly etag: string | undefined;
  /** Whole seconds since 1970. */
  readonly modifiedSeconds: number | undefined;
}

/** The result of a request's preconditions: 304 and 412 end it, `go` lets it continue. */
export type Precondition = "go" | 304 | 412;

/**
 * Evaluates the preconditions of a GET or HEAD request in the order of RFC 9110 §13.2.2. If-Range comes after: see `passesIfRange`.
 *
 * An invalid date is ignored (§13.1.3, §13.1.4), and so is every date if the served version has none.
 */
export function preconditionOf(headers: Headers, validators: Validators): Precondition {
  const ifMatch = headers.get("if-match");
  if (ifMatch !== null) {
    if (!namesTag(ifMatch, validators.etag, "strong")) return 412;
  } else {
    const unmodifiedSince = isModifiedSince(headers.get("if-unmodified-since"), validators);
    if (unmodifiedSince === true) return 412;
  }
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== null) return namesTag(ifNoneMatch, validators.etag, "weak") ? 304 : "go";
  return isModifiedSince(headers.get("if-modified-since"), validators) === false ? 304 : "go";
}

/** Whether an If-Range header (RFC 9110 §13.1.5) lets the Range header count. Weak tags never match, and dates match only exactly. */
export function passesIfRange(header: string | null, { etag, modifiedSeconds }: Validators): boolean {
  if (header === null) return true;
  const validator = header.trim();
  if (validator.startsWith('"')) return validator === etag;
  const seconds = httpDateSeconds(validator);
  return seconds !== undefined && seconds === modifiedSeconds;
}

/**
 * Reads an HTTP-date (RFC 9110 §5.6.7) in each of its three forms.
 *
 * @returns seconds since 1970, or undefined for an invalid date
 */
export function httpDateSeconds(text: string): number | undefined {
  const parts = IMF_FIXDATE.exec(text)?.groups ?? RFC_850.exec(text)?.groups ?? ASCTIME.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const { day = "", month = "", year = "", hour = "", minute = "", second = "" } = parts;
  const at = Date.UTC(fullYear(year), MONTHS.indexOf(month), Number(day), Number(hour), Number(minute), Number(second));
  const isReal = new Date(at).getUTCDate() === Number(day) && Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60;
  return isReal ? at / 1000 : undefined;
}

/** Checks the validators of what is served. @throws `invalid-argument` for a tag that is not strong and quoted, or an invalid date */
export function checkedValidators(etag: string | undefined, lastModified: Date | undefined): Validators {
  if (etag !== undefined && !(typeof etag === "string" && STRONG_ETAG.test(etag))) throw invalidArgument("etag must be strong and quoted");
  if (lastModified === undefined) return { etag, modifiedSeconds: undefined };
  const milliseconds = timeOf(lastModified) ?? Number.NaN;
  if (Number.isNaN(milliseconds)) throw invalidArgument("lastModified must be a valid Date");
  return { etag, modifiedSeconds: Math.floor(milliseconds / 1000) };
}

/** Whether a list of entity tags, or `*`, names the version that is served. */
function namesTag(header: string, etag: string | undefined, comparison: "strong" | "weak"): boolean {
  if (header.trim() === "*") return true;
  for (const [, weak, tag] of header.matchAll(ENTITY_TAG)) if (tag === etag && (weak === undefined || comparison === "weak")) return true;
  return false;
}

/** Compares a date of a header with that of the served version. Returns undefined where either is missing. */
function isModifiedSince(header: string | null, { modifiedSeconds }: Validators): boolean | undefined {
  const since = header === null ? undefined : httpDateSeconds(header.trim());
  return since === undefined || modifiedSeconds === undefined ? undefined : modifiedSeconds > since;
}

/** Maps two digits to a year from 1970 to 2069. */
function fullYear(year: string): number {
  if (year.length === 4) return Number(year);
  return Number(year) + (Number(year) < 70 ? 2000 : 1900);
}

const MONTHS: readonly string[] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = "(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)";
const IMF_FIXDATE = new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`);
const RFC_850 = new RegExp(`^[A-Z][a-z]{5,8}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(`^[A-Z][a-z]{2} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`);
const ENTITY_TAG = /(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g;
const STRONG_ETAG = /^"[\x21\x23-\x7e]*"$/;
