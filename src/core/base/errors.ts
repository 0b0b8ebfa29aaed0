/** The closed set of ways in which a call can fail. */
export type ErrorCode =
  /** The caller passed something that no key could make right. */
  | "invalid-argument"
  /** The bytes are not an envelope, key record or token, or are cut short, or break the profile. */
  | "malformed-envelope"
  /** A version or suite that this release does not read. */
  | "unsupported-version"
  /** No recipient names a key that is configured here. No provider was called. */
  | "no-matching-provider"
  /** Key, context, commitment or tag do not fit. One message for all, on purpose. */
  | "authentication-failed"
  /** A provider says that its key did not wrap this. Callers of `Keyring` see `authentication-failed`, with this as its cause. */
  | "unwrap-rejected"
  /** The backend has no such key or key version. */
  | "key-not-found"
  /** The key version exists and may not be used now. */
  | "key-disabled"
  /** The backend refuses this caller. */
  | "access-denied"
  /** The backend asks for fewer calls. `retryAfterMs` is set if it said when to come back. */
  | "rate-limited"
  /** The backend cannot be reached or says that it cannot answer now. */
  | "unavailable"
  /** The backend gave no answer in the time allowed. */
  | "timeout"
  /** The object was used after `close()` or `destroy()`. */
  | "closed"
  /** The backend broke its contract, or failed in a way that has no better code. */
  | "provider-failure"
  /** The stored data key was destroyed for good. */
  | "key-shredded";

/**
 * The party that can end a failure: the tenant that owns the key, the vendor that runs this program, the service that keeps the key, or the
 * caller with its arguments.
 */
export type Whose = "tenant" | "vendor" | "service" | "caller";

export interface EnvelockErrorOptions {
  /** The native error; an AggregateError where several providers failed. */
  readonly cause?: unknown;
  /** Defaults to true for `rate-limited`, `unavailable` and `timeout`, else false. */
  readonly retryable?: boolean;
  /** The wait that the backend asked for, in milliseconds. */
  readonly retryAfterMs?: number;
  /** One sentence that gives the next step. */
  readonly hint?: string;
  /** A closed, provider-specific word that tells apart causes with one code, such as `firewall`. */
  readonly detail?: string;
  /** The party that can end the failure, where it is known. Defaults to `caller` for `invalid-argument`. */
  readonly whose?: Whose;
  /** The tenant whose call failed. */
  readonly tenant?: string;
}

/** Says across copies and realms that an object is an `EnvelockError`. */
const BRAND = Symbol.for("envelock.EnvelockError");
const isOfPrototype: (this: unknown, value: unknown) => boolean = Function.prototype[Symbol.hasInstance];

/** An `EnvelockError` as JSON, structured clone and messages between threads can carry it. */
export interface PlainEnvelockError {
  readonly name: "EnvelockError";
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly hint?: string;
  readonly detail?: string;
  readonly whose?: Whose;
  readonly tenant?: string;
  readonly cause?: PlainEnvelockError | PlainNativeError;
}

/** The cause of a {@link PlainEnvelockError} that is no `EnvelockError` itself: name and message, without stack or other members. */
export interface PlainNativeError {
  readonly name: string;
  readonly message: string;
  /** A native code, such as `ECONNREFUSED`. */
  readonly code?: string;
  /** The errors of an AggregateError. */
  readonly errors?: readonly (PlainEnvelockError | PlainNativeError)[];
  readonly cause?: PlainEnvelockError | PlainNativeError;
}

/**
 * The library's only error class. A call rejects with nothing else, except for errors that the caller brought: the reason of an abort, an
 * error of a source that is read, and in `envelock/node` an error of the file system. Messages say what was expected and found, never a
 * secret.
 *
 * `instanceof` and {@link EnvelockError.is} also hold for an error of another copy of the package or of another realm. Structured
 * clone keeps no code of any error: send {@link EnvelockError.toJSON} between threads, and rebuild it with {@link EnvelockError.from}.
 *
 * @example
 * try {
 *   await keyring.decrypt(envelope);
 * } catch (error) {
 *   if (EnvelockError.is(error) && error.retryable) return "later";
 *   throw error;
 * }
 */
export class EnvelockError extends Error {
  override readonly name = "EnvelockError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly hint?: string;
  readonly detail?: string;
  /** The party that can end the failure. Undefined where no layer knows. */
  readonly whose?: Whose;
  /** The tenant whose call failed: the `id` of the keyring's option `tenant`. */
  readonly tenant?: string;

  static {
    Object.defineProperty(EnvelockError.prototype, BRAND, { value: true });
    Object.defineProperty(EnvelockError, Symbol.hasInstance, {
      value(this: unknown, value: unknown): boolean {
        return this === EnvelockError ? EnvelockError.is(value) : isOfPrototype.call(this, value); // a subclass asks for its own
      },
    });
  }

  constructor(code: ErrorCode, message: string, options: EnvelockErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.detail !== undefined) this.detail = options.detail;
    const whose = options.whose ?? (code === "invalid-argument" ? "caller" : undefined);
    if (whose !== undefined) this.whose = whose;
    if (options.tenant !== undefined) this.tenant = options.tenant;
  }

  /**
   * Whether a value is an `EnvelockError`, of whatever copy of the package and whatever realm.
   *
   * @example
   * if (EnvelockError.is(error)) log(error.code, error.hint);
   */
  static is(value: unknown): value is EnvelockError {
    return typeof value === "object" && value !== null && BRAND in value && value[BRAND] === true;
  }

  /**
   * Rebuilds an error from what `toJSON` gave, such as a message of a worker thread or a line of JSON.
   *
   * @throws `invalid-argument` for anything else
   * @example
   * worker.on("message", ({ error }) => reject(EnvelockError.from(error))); // there: postMessage({ error: error.toJSON() })
   */
  static from(plain: unknown): EnvelockError {
    if (EnvelockError.is(plain)) return plain;
    return fromPlain(plain, 0);
  }

  /** A plain object that JSON and structured clone can carry: code, message, hint, and the causes by name and message. */
  toJSON(): PlainEnvelockError {
    return plainOf(this, 0);
  }
}

/**
 * Whether an error says that a key may not be used (denied, disabled or gone), rather than that it cannot be reached. A refusal purges what
 * the key had unwrapped; an accident does not.
 */
export function isDeliberateRefusal(error: unknown): boolean {
  return EnvelockError.is(error) && !error.retryable && REFUSALS.has(error.code);
}

/**
 * Returns the error with the given party and tenant, where it does not name its own. The result is a copy: several callers, also of
 * several tenants, may hold the same error of a provider.
 */
export function attributed(error: EnvelockError, { whose, tenant }: Pick<EnvelockErrorOptions, "whose" | "tenant">): EnvelockError {
  const adds = (whose !== undefined && error.whose === undefined) || (tenant !== undefined && error.tenant === undefined);
  if (!adds) return error;
  const { code, message, cause, retryable, retryAfterMs, hint, detail } = error;
  const [owner, party] = [error.tenant ?? tenant, error.whose ?? whose];
  const copy = new EnvelockError(code, message, {
    cause,
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(hint !== undefined && { hint }),
    ...(detail !== undefined && { detail }),
    ...(party !== undefined && { whose: party }),
    ...(owner !== undefined && { tenant: owner }),
  });
  if (error.stack !== undefined) copy.stack = error.stack;
  return copy;
}

/**
 * Makes the one error for every failure of key, context, commitment or tag. `cause` and another `hint` only ever come from a provider; the
 * hint that is always the same tells nothing of what did not fit.
 */
export function authenticationFailed(cause?: unknown, hint: string = WHAT_TO_COMPARE): EnvelockError {
  const message = "the key or context does not fit, or the data was changed";
  return new EnvelockError("authentication-failed", message, { cause, hint });
}

export function malformed(message: string, hint?: string): EnvelockError {
  return new EnvelockError("malformed-envelope", message, hint === undefined ? {} : { hint });
}

export function invalidArgument(message: string, hint?: string): EnvelockError {
  return new EnvelockError("invalid-argument", message, hint === undefined ? {} : { hint });
}

/**
 * Makes the error for an argument that threw while it was read: by a getter, or as a revoked proxy. An error of the library's own, from a
 * call that the getter made, stays as it is.
 */
export function unreadable(what: string, cause: unknown): EnvelockError {
  if (EnvelockError.is(cause)) return cause;
  const hint = "A getter or proxy in it threw, which is the cause of this error: give plain objects.";
  return new EnvelockError("invalid-argument", `${what} could not be read`, { cause, hint });
}

/** @throws `invalid-argument` for what is no plain `EnvelockError` */
function fromPlain(plain: unknown, depth: number): EnvelockError {
  const fields = fieldsOf(plain);
  const [code, message, retryable] = [fields.get("code"), fields.get("message"), fields.get("retryable")];
  if (fields.get("name") !== "EnvelockError" || !isErrorCode(code) || typeof message !== "string" || typeof retryable !== "boolean") {
    throw invalidArgument(
      "this is no EnvelockError as toJSON gives it",
      "Send error.toJSON(): structured clone drops the code of an error.",
    );
  }
  const [retryAfterMs, hint, detail] = [fields.get("retryAfterMs"), fields.get("hint"), fields.get("detail")];
  const [whose, tenant] = [fields.get("whose"), fields.get("tenant")];
  return new EnvelockError(code, message, {
    retryable,
    ...(typeof retryAfterMs === "number" && { retryAfterMs }),
    ...(typeof hint === "string" && { hint }),
    ...(typeof detail === "string" && { detail }),
    ...(isWhose(whose) && { whose }),
    ...(typeof tenant === "string" && { tenant }),
    ...(fields.has("cause") && depth < DEEPEST_CAUSE && { cause: causeFrom(fields.get("cause"), depth + 1) }),
  });
}

function causeFrom(plain: unknown, depth: number): unknown {
  const fields = fieldsOf(plain);
  const [name, message, code, errors] = [fields.get("name"), fields.get("message"), fields.get("code"), fields.get("errors")];
  if (name === "EnvelockError" && isErrorCode(code)) return fromPlain(plain, depth);
  const options = fields.has("cause") && depth < DEEPEST_CAUSE ? { cause: causeFrom(fields.get("cause"), depth + 1) } : undefined;
  const text = typeof message === "string" ? message : "";
  const members = Array.isArray(errors) && depth < DEEPEST_CAUSE ? errors.slice(0, MOST_CAUSES) : undefined;
  const error =
    members === undefined
      ? new Error(text, options)
      : new AggregateError(
          members.map((member) => causeFrom(member, depth + 1)),
          text,
          options,
        );
  if (typeof name === "string") error.name = name;
  return typeof code === "string" ? Object.assign(error, { code }) : error;
}

function plainOf(error: EnvelockError, depth: number): PlainEnvelockError {
  const { code, message, retryable, retryAfterMs, hint, detail, whose, tenant, cause } = error;
  return {
    name: "EnvelockError",
    code,
    message,
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(hint !== undefined && { hint }),
    ...(detail !== undefined && { detail }),
    ...(whose !== undefined && { whose }),
    ...(tenant !== undefined && { tenant }),
    ...(cause !== undefined && depth < DEEPEST_CAUSE && { cause: plainCause(cause, depth + 1) }),
  };
}

function plainCause(cause: unknown, depth: number): PlainEnvelockError | PlainNativeError {
  if (EnvelockError.is(cause)) return plainOf(cause, depth);
  if (typeof cause !== "object" || cause === null) return { name: typeof cause, message: typeof cause === "string" ? cause : "" };
  const [name, message, code] = [memberOf(cause, "name"), memberOf(cause, "message"), memberOf(cause, "code")];
  const [errors, deeper] = [memberOf(cause, "errors"), memberOf(cause, "cause")];
  const hasMore = depth < DEEPEST_CAUSE;
  return {
    name: typeof name === "string" ? name : "Error",
    message: typeof message === "string" ? message : "",
    ...((typeof code === "string" || typeof code === "number") && { code: `${code}` }),
    ...(hasMore && Array.isArray(errors) && { errors: errors.slice(0, MOST_CAUSES).map((error) => plainCause(error, depth + 1)) }),
    ...(hasMore && deeper !== undefined && { cause: plainCause(deeper, depth + 1) }),
  };
}

/** A member of an error that is not ours, which may be a getter that throws: that must not hide the error around it. */
function memberOf(value: object, name: string): unknown {
  try {
    return Reflect.get(value, name);
  } catch {
    return undefined;
  }
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map<string, unknown>(typeof value === "object" && value !== null ? Object.entries(value) : []);
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(CODES, value);
}

function isWhose(value: unknown): value is Whose {
  return value === "tenant" || value === "vendor" || value === "service" || value === "caller";
}

const CODES: Readonly<Record<ErrorCode, true>> = {
  "invalid-argument": true,
  "malformed-envelope": true,
  "unsupported-version": true,
  "no-matching-provider": true,
  "authentication-failed": true,
  "unwrap-rejected": true,
  "key-not-found": true,
  "key-disabled": true,
  "access-denied": true,
  "rate-limited": true,
  unavailable: true,
  timeout: true,
  closed: true,
  "provider-failure": true,
  "key-shredded": true,
};
const WHAT_TO_COMPARE =
  "Compare the context with that at encryption, key for key; if it is the same, another key has this key id, or the data was changed.";
const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["rate-limited", "unavailable", "timeout"]);
/** The codes that say of a key that it may not be used. */
export const REFUSALS: ReadonlySet<string> = new Set<ErrorCode>(["key-disabled", "access-denied", "key-not-found"]);
const DEEPEST_CAUSE = 5;
const MOST_CAUSES = 16;
