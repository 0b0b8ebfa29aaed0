import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { requireMethods } from "../../core/base/options.ts";

/** A client of `google-auth-library`, or `storage.authClient` of `@google-cloud/storage`: anything that gives access tokens. */
export interface GcsTokenClient {
  getAccessToken(): Promise<string | null | undefined | { readonly token?: string | null | undefined }>;
}

/** Where access tokens for Cloud Storage come from. A function is asked before each request, and once more if its token is refused. */
export type GcsTokenSource = string | ((refused?: string) => string | Promise<string>) | GcsTokenClient;

/** Makes a function that gives a token that can stand in a header. @throws `invalid-argument` for what is no source of tokens */
export function tokensOf(source: GcsTokenSource): (refused?: string) => Promise<string> {
  if (typeof source === "string") {
    if (!isToken(source)) throw invalidArgument("token is an access token, or what gives one");
    return async () => source;
  }
  if (typeof source === "function") return async (refused) => checked(await asked(async () => await source(refused)));
  requireMethods(source, ["getAccessToken"], "token is an access token, a function that gives one, or a client", CLIENT_HINT);
  return async () => checked(await asked(async () => await source.getAccessToken()));
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (EnvelockError.is(cause)) throw cause;
    throw new EnvelockError("access-denied", "what gives the access token of Cloud Storage failed", { detail: "credential", cause });
  }
}

function checked(given: string | null | undefined | { readonly token?: string | null | undefined }): string {
  const token = typeof given === "object" ? given?.token : given;
  if (isToken(token)) return token;
  throw new EnvelockError("access-denied", "what gives the access token of Cloud Storage gave none", { detail: "credential" });
}

function isToken(token: unknown): token is string {
  return typeof token === "string" && /^[\x21-\x7e]{1,16384}$/.test(token);
}

const CLIENT_HINT = "a client of google-auth-library is one";
