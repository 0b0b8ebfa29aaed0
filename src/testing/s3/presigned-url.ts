import { invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { EmulatedCredentials } from "../emulator/aws-credentials.ts";
import { ALGORITHM, canonicalRequest, escaped, scopeText, signatureOf } from "../emulator/aws-signature.ts";
import type { S3State } from "./s3-call.ts";

export interface PresignOptions {
  /** Names and values of the query, such as `{ partNumber: "1", uploadId }`. */
  readonly query?: Readonly<Record<string, string>>;
  /** Headers that the request must have, with these values. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: 900. At most 604,800. */
  readonly expiresSeconds?: number;
}

export interface PresignTarget {
  readonly url: string;
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly credentials: EmulatedCredentials;
  readonly state: S3State;
}

/** Signs a URL in the style of a path. @throws `invalid-argument` */
export function presignedUrl(target: PresignTarget, options: PresignOptions): string {
  refuseUnknown(options, PRESIGN_OPTIONS, "presign");
  const { query = {}, headers = {}, expiresSeconds = 900 } = options;
  if (!Number.isInteger(expiresSeconds) || expiresSeconds < 1 || expiresSeconds > 604_800)
    throw invalidArgument("expiresSeconds must be a whole number from 1 to 604,800");
  const { url, method, bucket, key, credentials, state } = target;
  const time = new Date(state.clock.unixMs()).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");
  const scope = { accessKeyId: credentials.accessKeyId, date: time.slice(0, 8), region: state.region, service: "s3" };
  const signed = { ...headers, host: new URL(url).host };
  const names = Object.keys(signed).sort();
  const all = {
    ...query,
    "X-Amz-Algorithm": ALGORITHM,
    "X-Amz-Credential": `${credentials.accessKeyId}/${scopeText(scope)}`,
    "X-Amz-Date": time,
    "X-Amz-Expires": `${expiresSeconds}`,
    "X-Amz-SignedHeaders": names.join(";"),
  };
  const path = `/${bucket}/${key.split("/").map(escaped).join("/")}`;
  const parts = { method, path, query: Object.entries(all), headers: signed, names, payload: "UNSIGNED-PAYLOAD" };
  const signature = signatureOf(canonicalRequest(parts), time, scope, credentials.secretAccessKey);
  const pairs = Object.entries({ ...all, "X-Amz-Signature": signature }).map(([name, value]) => `${escaped(name)}=${escaped(value)}`);
  return `${url}${path}?${pairs.join("&")}`;
}

const PRESIGN_OPTIONS: OptionNames<PresignOptions> = { query: true, headers: true, expiresSeconds: true };
