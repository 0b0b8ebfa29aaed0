import { EnvelockError } from "../../src/core/base/errors.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { keyVersionUrl } from "./key-url.ts";

/** A delivery of Event Grid. */
export type KeyVaultDelivery =
  /** The handshake of a new subscription. Answer with status 200 and this object as JSON; otherwise the subscription is not made. */
  | { readonly kind: "validation"; readonly answer: { readonly validationResponse: string } }
  /** The events about keys. A delivery may hold others too, or none of these. */
  | { readonly kind: "events"; readonly events: readonly KeyVaultEvent[] };

/** An event about a key version. Event Grid signs nothing, so only the way that it came proves it. */
export interface KeyVaultEvent {
  readonly type: "new-version" | "near-expiry" | "expired";
  /** The key version of the event, spelt as in recipients. */
  readonly keyId: string;
  /** Unix times in milliseconds, where the version has them. */
  readonly notBeforeMs?: number;
  readonly expiresMs?: number;
  /** The id of the event, which may come twice. */
  readonly eventId: string;
}

/**
 * Parses a delivery that Event Grid posts to a webhook: an array of events, or one event, in its own schema or as CloudEvents.
 *
 * A forged event has no more effect than `noteNewVersion`: one more read of a key. Even so, accept events only from senders that know the
 * webhook's secret.
 *
 * @param body the request's body: its text, or the JSON value of it
 * @throws `invalid-argument`, with `detail` `event`, for anything but a delivery of Event Grid; answer such a request with status 400
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

/** Reads `eventType` in Event Grid's schema, `type` in that of CloudEvents. */
function typeOf(event: unknown): string {
  const type = textFieldOf(event, "eventType") ?? textFieldOf(event, "type");
  if (type === undefined || type.length > MAX_TYPE) throw malformed("an event names its type");
  return type;
}

/** Checks a validation code. It goes back to the sender, so it must have the form of one. */
function validationCodeOf(event: unknown): string {
  const code = textFieldOf(fieldOf(event, "data"), "validationCode") ?? "";
  if (!VALIDATION_CODE.test(code)) throw malformed("a validation event brings a code");
  return code;
}

/** Reads seconds, as a number or in digits: the service's documentation has both. */
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
/** The limits of Event Grid: 1 MB and 5,000 events at once. */
const MAX_CHARACTERS = 2 ** 20;
const MAX_EVENTS = 5000;
const MAX_TYPE = 256;
const MAX_SECONDS = 10 ** 12;
const EVENT_ID = /^[\x21-\x7e]{1,128}$/;
const VALIDATION_CODE = /^[\w-]{1,128}$/;
