import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type SigningCredentials, type SigningScope, signedHeaders, signedQuery } from "../../core/base/sigv4.ts";
import { type BlobFetch, escapedName, safeBase } from "../http.ts";
import type { S3Request, S3Signer } from "./requests.ts";

/** Credentials that sign requests: the shape that AWS's own credential packages give. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The token of temporary credentials. */
  readonly sessionToken?: string | undefined;
}

/** A bucket as a URL, with credentials that sign each request: no SDK is needed. */
export interface S3SignedBucket {
  /** `https://BUCKET.s3.REGION.amazonaws.com`, or a service's own address with the bucket as its path: `https://HOST/BUCKET`. */
  readonly url: string;
  /** The region of the bucket, such as `eu-central-1`; `auto` for R2. */
  readonly region: string;
  /** A function is asked before each request, for credentials that are renewed. */
  readonly credentials: S3Credentials | (() => S3Credentials | Promise<S3Credentials>);
  /** Defaults to the global one. */
  readonly fetch?: BlobFetch;
  /** How long the service may be silent. Defaults to 60,000 ms. */
  readonly silenceMs?: number;
  readonly clock?: Clock;
}

/** A bucket that requests are signed for. */
export class S3Place {
  /** The name of the bucket, as far as the URL tells it. */
  readonly bucket: string | undefined;
  readonly #base: URL;
  readonly #region: string;
  readonly #credentials: S3SignedBucket["credentials"];
  readonly #clock: Clock;
  #given: SigningCredentials | undefined;
  #skewMs = 0;

  /** @throws `invalid-argument` */
  constructor({ url, region, credentials, clock = systemClock }: Pick<S3SignedBucket, "url" | "region" | "credentials" | "clock">) {
    this.#base = baseOf(url);
    if (typeof region !== "string" || !/^[a-z0-9-]{1,64}$/.test(region)) {
      throw invalidArgument("region is the name of a region, such as eu-central-1", "R2 takes `auto`");
    }
    this.#region = region;
    this.#credentials = typeof credentials === "function" ? credentials : checkedCredentials(credentials);
    this.#clock = clock;
    this.bucket = bucketIn(this.#base);
  }

  /** Signs requests in their headers. Their bodies are not signed: TLS and a digest of each block see to those. */
  signer(): S3Signer {
    return {
      sign: async (request) => {
        const { method, query, headers } = request;
        const { host, path } = this.#target(request);
        const scope = await this.#scope();
        const signed = signedHeaders(
          {
            method,
            host,
            path,
            query: Object.entries(query),
            headers: { ...headers, "x-amz-content-sha256": UNSIGNED },
            body: { digest: UNSIGNED },
          },
          scope,
        );
        const follow = (serverUnixMs: number): boolean => {
          if (!(Math.abs(serverUnixMs - scope.nowMs) >= LEAST_SKEW_MS)) return false;
          this.#skewMs = serverUnixMs - this.#clock.unixMs();
          return true;
        };
        return { url: `${this.#base.origin}${path}${queryText(query)}`, headers: signed, follow };
      },
    };
  }

  /** Signs a request in its query. */
  async presigned(request: S3Request, expiresSeconds: number): Promise<string> {
    const { method, query, headers } = request;
    const { host, path } = this.#target(request);
    const toSign = { method, host, path, query: Object.entries(query), headers, body: { digest: UNSIGNED } };
    return `${this.#base.origin}${path}?${signedQuery(toSign, await this.#scope(), expiresSeconds)}`;
  }

  #target({ name }: S3Request): { readonly host: string; readonly path: string } {
    const root = this.#base.pathname.replace(/\/$/, "");
    return { host: this.#base.host, path: name === undefined ? root || "/" : `${root}/${escapedName(name)}` };
  }

  async #scope(): Promise<SigningScope> {
    const credentials = await this.#ownCredentials();
    return { region: this.#region, service: "s3", credentials, nowMs: this.#clock.unixMs() + this.#skewMs };
  }

  async #ownCredentials(): Promise<SigningCredentials> {
    if (typeof this.#credentials !== "function") return this.#credentials;
    try {
      const given = checkedCredentials(await this.#credentials());
      if (this.#given === undefined || !areSame(this.#given, given)) this.#given = given; // the object that a signing key is kept for
      return this.#given;
    } catch (cause) {
      if (EnvelockError.is(cause) && cause.code !== "invalid-argument") throw cause; // what a login of this library says
      throw new EnvelockError("access-denied", "the function that gives the credentials of S3 failed, or gave none", {
        detail: "credential",
        cause,
        hint: "it must give { accessKeyId, secretAccessKey, sessionToken? }",
      });
    }
  }
}

/** @throws `invalid-argument` */
function checkedCredentials(given: S3Credentials): SigningCredentials {
  const { accessKeyId, secretAccessKey, sessionToken }: Partial<S3Credentials> = given ?? {};
  if (isHeaderText(accessKeyId) && isHeaderText(secretAccessKey) && (sessionToken === undefined || isHeaderText(sessionToken))) {
    return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
  }
  throw invalidArgument("the credentials of S3 are { accessKeyId, secretAccessKey, sessionToken? }, or a function that gives them");
}

function areSame(one: SigningCredentials, other: SigningCredentials): boolean {
  return one.accessKeyId === other.accessKeyId && one.secretAccessKey === other.secretAccessKey && one.sessionToken === other.sessionToken;
}

function isHeaderText(text: unknown): text is string {
  return typeof text === "string" && /^[\x21-\x7e]{1,16384}$/.test(text);
}

/** @throws `invalid-argument` */
function baseOf(url: string): URL {
  const base = safeBase(url);
  if (base?.search === "" && base.hash === "" && base.username === "" && base.password === "") return base;
  throw invalidArgument("the url of an S3 bucket is https, without a query; http is for this machine alone");
}

function bucketIn({ hostname, pathname }: URL): string | undefined {
  const [inPath] = pathname.split("/").filter((segment) => segment !== "");
  if (inPath !== undefined) return inPath;
  return /^(.+)\.s3[.-][a-z0-9.-]*amazonaws\.com(?:\.cn)?$/.exec(hostname)?.[1];
}

/** The query in the same escaping as it is signed. */
function queryText(query: Readonly<Record<string, string>>): string {
  const parts = Object.entries(query).map(([name, value]) => `${escapedName(name)}=${escapedName(value).replaceAll("/", "%2F")}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

const UNSIGNED = "UNSIGNED-PAYLOAD";
const LEAST_SKEW_MS = 60_000;
