import type { ConformanceHarness, WrongAnswer } from "../../../providers/conformance/index.ts";
import type { HttpFetch } from "../../../src/core/base/http-fetch.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";

/** A request and its answer. */
export interface Exchange {
  readonly url: string;
  /** The operation by the service's own name for it, such as `Encrypt` or `:decrypt`. */
  readonly operation: string;
  readonly sent: Json;
  readonly status: number;
  readonly text: string;
}

export type Json = Readonly<Record<string, unknown>>;
export type Answer = Pick<Exchange, "status" | "text">;

/** A service, its emulator, and broken providers of it. */
export interface WireService {
  /** The harness of a sound provider, or of a mutant. */
  harness(mutant?: WireMutant): ConformanceHarness;
  readonly mutants: readonly WireMutant[];
}

/** A provider with one fault, and the cases that notice it: all of these and no other. */
export interface WireMutant {
  readonly fault: string;
  readonly rejectedBy: readonly string[];
  /**
   * What the provider sees in place of an answer. A provider to which a wrong answer looks right does as one that does not look.
   *
   * @param count how many exchanges the provider has had, this one included
   */
  seen?(exchange: Exchange, count: number): Answer | undefined;
  /** What the provider is in place of the sound one. */
  provider?(sound: KeyProvider): KeyProvider;
  /** Whether the provider is given one credential for ever. */
  readonly keepsCredentials?: true;
  /** Opens what the sound provider refuses. */
  openByMovableName?(): KeyProvider;
}

/** Changes answers on their way from an emulator: the next one that fits, once. */
export class Tamper {
  #armed: { readonly operation: string; readonly change: (exchange: Exchange) => Answer } | undefined;
  /** Changes every answer, while it is set. */
  always: ((exchange: Exchange) => Answer | undefined) | undefined;

  /** A wrong answer: the members of the true one with these in place of theirs; a text is the whole answer. */
  wrong(to: WrongAnswer["to"], operation: string, change: Json | string | ((answer: Json, exchange: Exchange) => Json)): WrongAnswer {
    const changed = (exchange: Exchange): string => {
      if (typeof change === "string") return change;
      const answer = jsonOf(exchange.text);
      return JSON.stringify(typeof change === "function" ? change(answer, exchange) : { ...answer, ...change });
    };
    const arm = (): void => {
      this.#armed = { operation, change: (exchange) => ({ status: exchange.status, text: changed(exchange) }) };
    };
    return { to, arrange: arm };
  }

  readonly through = (exchange: Exchange): Answer | undefined => {
    const armed = this.#armed;
    if (armed === undefined || armed.operation !== exchange.operation) return this.always?.(exchange);
    this.#armed = undefined;
    return armed.change(exchange);
  };
}

/** A `fetch` whose answers are changed by each of the functions in turn. */
export function changing(
  fetch: HttpFetch,
  operationOf: (url: string, headers: Readonly<Record<string, string>>) => string,
  changes: readonly ((exchange: Exchange, count: number) => Answer | undefined)[],
): HttpFetch {
  let count = 0;
  return async (url, request) => {
    const answer = await fetch(url, request);
    const text = await new Response(answer.body).text();
    count++;
    let exchange: Exchange = {
      url,
      operation: operationOf(url, request.headers),
      sent: jsonOf(request.body ?? "{}"),
      status: answer.status,
      text,
    };
    for (const change of changes) exchange = { ...exchange, ...change(exchange, count) };
    return new Response(exchange.text, { status: exchange.status, headers: { "content-type": "application/json" } });
  };
}

export function jsonOf(text: string): Json {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? Object.fromEntries(Object.entries(json)) : {};
  } catch {
    return {};
  }
}

/** What a mutant sees: the members of the answer with these in place of theirs, at these operations. */
export function seeing(operation: string, members: (answer: Json, exchange: Exchange) => Json): (exchange: Exchange) => Answer | undefined {
  return (exchange) =>
    exchange.operation === operation && exchange.status === 200
      ? { status: 200, text: JSON.stringify({ ...jsonOf(exchange.text), ...members(jsonOf(exchange.text), exchange) }) }
      : undefined;
}

/** A provider that takes other spellings for its own key id. */
export function spellingBlind(sound: KeyProvider, canonical: (keyId: string) => string): KeyProvider {
  return {
    ...sound,
    owns: (keyId) => sound.owns(canonical(keyId)),
    unwrap: (recipient, options) => sound.unwrap({ ...recipient, keyId: canonical(recipient.keyId) }, options),
  };
}

export const PAGE = "<!doctype html><title>Sign in to the network</title>";
export const ZEROS: string = Buffer.alloc(32).toString("base64");
