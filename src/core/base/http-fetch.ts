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
 * The readers of answers that come from `httpsFetch` itself. They are no part of the answer: a caller's `fetch` that copies it and changes
 * the body would hand on a reader of the unchanged one.
 */
export const WHOLE_READERS: WeakMap<object, WholeReader> = new WeakMap();
