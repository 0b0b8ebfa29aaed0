import { EnvelockError } from "../../src/core/base/errors.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { keyVersionUrl } from "./key-url.ts";

/** What Event Grid brought. */
export type KeyVaultDelivery =
  /** The subscription is being made: answer with status 200 and this object as JSON, or it is not. */
  | { readonly kind: "validation"; readonly answer: { readonly validationResponse: string } }
  /** Those that speak of keys; a delivery may hold others, or none that does. */
  | { readonly kind: "events"; readonly events: readonly KeyVaultEvent[] };

/** Nothing of it is proven but by how it came: Event Grid signs nothing. */
export interface KeyVaultEvent {
  readonly type: "new-version" | "near-expiry" | "expired";
  /** The key version that it is about, spelt as in recipients. */
  readonly keyId: string;
  /** Unix times in milliseconds, where the version has them. */
  readonly notBeforeMs?: number;
  readonly expiresMs?: number;
  /** Of the event, which may come twice. */
  readonly eventId: string;
}

/**
 * Parses what Event Grid posts to a webhook: an array of events, or one of them, in its own schema or as CloudEvents.
 *
 * A forged event can do no more than `noteNewVersion` does: one more read of a key. Still take none from those who do not know the
 * webhook's secret.
 *
 * @param body the request's body: text, or what JSON made of it
 * @throws `invalid-argument`, with `detail` `event`, for whatever is no delivery of Event Grid; answer such a request with status 400
 * @example
 * ```ts
 * import { type AzureKey, parseKeyVaultEvent } from "envelock/providers/azure";
 *
 * export function noteEvents(body: string, key: AzureKey): void {
 *   const delivery = parseKeyVaultEvent(body);
 *   if (delivery.kind === "validation") return;
 *   for (const { type, keyId } of delivery.events) if (type === "new-version") key.noteNewVersion(keyId);
 * }
 * ```
 */
export function parseKeyVaultEvent(body: unknown): KeyVaultDelivery {
  const delivered = typeof body === "string" ? parsed(body) : body;
  const all: readonly unknown[] = Array.isArray(delivered) ? delivered : [delivered];
  if (all.length === 0 || all.length > MAX_EVENTS) throw malformed(`a delivery has 1 to ${MAX_EVENTS} events, this one ${all.length}`);
  const events: KeyVaultEvent[] = [];
  for (const event of all) {
    const type = typeOf(event);
    if (type === VALIDATION) return { kind: "validation", answer: { validationResponse: validationCodeOf(event) } };
    const kind = KINDS.get(type);
    if (kind !== undefined) events.push(keyEvent(kind, event));
  }
  return { kind: "events", events };
}

function keyEvent(type: KeyVaultEvent["type"], event: unknown): KeyVaultEvent {
  const data = fieldOf(event, "data");
  const keyId = keyVersionUrl(textFieldOf(data, "Id") ?? textFieldOf(data, "id") ?? "");
  if (keyId === undefined) throw malformed("the data of a key's event names no version of a key");
  const notBeforeMs = timeOf(fieldOf(data, "NBF") ?? fieldOf(data, "nbf"));
  const expiresMs = timeOf(fieldOf(data, "EXP") ?? fieldOf(data, "exp"));
  const eventId = textFieldOf(event, "id") ?? "";
  if (!EVENT_ID.test(eventId)) throw malformed("an event has an id of 1 to 128 printable characters");
  return { type, keyId, ...(notBeforeMs !== undefined && { notBeforeMs }), ...(expiresMs !== undefined && { expiresMs }), eventId };
}

/** `eventType` in Event Grid's schema, `type` in that of CloudEvents. */
function typeOf(event: unknown): string {
  const type = textFieldOf(event, "eventType") ?? textFieldOf(event, "type");
  if (type === undefined || type.length > MAX_TYPE) throw malformed("an event names its type");
  return type;
}

/** It goes back to whoever sent it, so it must be what such a code is. */
function validationCodeOf(event: unknown): string {
  const code = textFieldOf(fieldOf(event, "data"), "validationCode") ?? "";
  if (!VALIDATION_CODE.test(code)) throw malformed("a validation event brings a code");
  return code;
}

/** Seconds, as a number or in digits: the service's documentation has both. */
function timeOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const seconds = typeof value === "string" && /^[0-9]{1,12}$/.test(value) ? Number(value) : value;
  if (typeof seconds === "number" && Number.isFinite(seconds) && seconds >= 0 && seconds < MAX_SECONDS) return seconds * 1000;
  throw malformed("a date is in seconds");
}

function parsed(text: string): unknown {
  if (text.length > MAX_CHARACTERS) throw malformed(`a delivery has at most ${MAX_CHARACTERS} characters`);
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("it is no JSON");
  }
}

function malformed(what: string): EnvelockError {
  return new EnvelockError("invalid-argument", `not a delivery of Event Grid: ${what}`, { detail: "event" });
}

const VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent";
const KINDS: ReadonlyMap<string, KeyVaultEvent["type"]> = new Map<string, KeyVaultEvent["type"]>([
  ["Microsoft.KeyVault.KeyNewVersionCreated", "new-version"],
  ["Microsoft.KeyVault.KeyNearExpiry", "near-expiry"],
  ["Microsoft.KeyVault.KeyExpired", "expired"],
]);
/** Event Grid sends at most 1 MB and 5,000 events at once. */
const MAX_CHARACTERS = 2 ** 20;
const MAX_EVENTS = 5000;
const MAX_TYPE = 256;
const MAX_SECONDS = 10 ** 12;
const EVENT_ID = /^[\x21-\x7e]{1,128}$/;
const VALIDATION_CODE = /^[\w-]{1,128}$/;
