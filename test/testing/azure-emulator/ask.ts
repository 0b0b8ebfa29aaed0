import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";

export interface Asked {
  /** Default: the owner's; none if empty. */
  readonly token?: string;
  readonly json?: object;
  /** Default 7.6; none if empty. */
  readonly apiVersion?: string;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AnswerFields;
  /** Status and `code/innercode` of an error, for a glance. */
  readonly gist: string;
}

/** What answers are made of, as far as tests look into them one by one. */
export interface AnswerFields {
  readonly id?: unknown;
  readonly key?: unknown;
  readonly value?: unknown;
  readonly attributes?: unknown;
  readonly nextLink?: unknown;
}

/** One request to an emulator, without a client between. */
export async function ask(
  emulator: AzureEmulator,
  method: string,
  path: string,
  { token = emulator.token, json, apiVersion = "7.6" }: Asked = {},
): Promise<Answered> {
  const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
  const url = new URL(path, emulator.url);
  if (apiVersion !== "") url.searchParams.set("api-version", apiVersion);
  const [response, text] = await new Promise<[IncomingMessage, string]>((resolve, reject) => {
    const asked = request(url, { method, headers, ca: emulator.ca }, (response) => {
      const parts: Buffer[] = [];
      response.on("error", reject);
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => resolve([response, Buffer.concat(parts).toString()]));
    });
    asked.on("error", reject);
    asked.end(json === undefined ? undefined : JSON.stringify(json));
  });
  const body = Object(text === "" ? {} : JSON.parse(text));
  const status = response.statusCode ?? 0;
  const gist = [status, body.error?.code, body.error?.innererror?.code].filter((part) => part !== undefined).join(" ");
  return { status, headers: response.headers, body, gist };
}
