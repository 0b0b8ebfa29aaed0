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
  /** Reads the whole body in place of `body`, where a function offers that. Undefined for more than `most` bytes. */
  bytesUpTo?(most: number): Promise<Uint8Array | undefined>;
}
