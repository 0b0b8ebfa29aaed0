/** The part of `fetch` that providers over HTTP use: the global one, or another of its shape, for instance `httpsFetch` of `envelock/node`. */
export type HttpFetch = (url: string, request: HttpFetchRequest) => Promise<HttpFetchAnswer>;

export interface HttpFetchRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Always `manual`: a redirect must come back as an answer. */
  readonly redirect: "manual";
  readonly signal: AbortSignal;
}

export interface HttpFetchAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: ReadableStream<Uint8Array> | null;
}

/** Reads the whole body of an answer in place of `body`. Undefined for more than `most` bytes: the connection is closed then. */
type WholeReader = (most: number) => Promise<Uint8Array | undefined>;

/**
 * Notes how an answer of `httpsFetch` itself is read whole. A caller's `fetch` that copies the answer and changes the body does not hand the
 * reader on.
 */
export function noteWholeReader(answer: object, read: WholeReader): void {
  Object.defineProperty(answer, WHOLE_BODY, { value: new WholeBody(answer, read) });
}

/** Returns the reader of this very answer, if it has one. */
export function wholeReaderOf(answer: object): WholeReader | undefined {
  const body = WHOLE_BODY in answer ? answer[WHOLE_BODY] : undefined;
  return body instanceof WholeBody && body.of === answer ? body.read : undefined;
}

/** A member of the answer, and not a weak map of answers: the collector of young objects copies what such a map holds once too often. */
class WholeBody {
  readonly of: object;
  readonly read: WholeReader;

  constructor(of: object, read: WholeReader) {
    this.of = of;
    this.read = read;
  }
}

const WHOLE_BODY: unique symbol = Symbol("whole body");
