import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { azureKey, type KeyVaultDelivery, parseKeyVaultEvent } from "../../../providers/azure/index.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { refusal } from "../../support/refusal.ts";
import { wrapOne } from "./calls.ts";

const VERSION = "ee059b2bb5bc48398a53b168c6cdcb10";
const KEY_ID = `https://acme.vault.azure.net/keys/orders/${VERSION}`;
const DATA = { Id: KEY_ID, VaultName: "acme", ObjectType: "Key", ObjectName: "orders", Version: VERSION };
const NEW_VERSION = eventOf({ ...DATA, NBF: null, EXP: 1_790_000_000 });

describe("an event of Event Grid", () => {
  test("names the key version, in Event Grid's schema and as a CloudEvent, alone or in a list, as text or parsed", () => {
    const expected = { kind: "events", events: [{ type: "new-version", keyId: KEY_ID, expiresMs: 1_790_000_000_000, eventId: "e-1" }] };
    const { eventType, eventTime, ...rest } = NEW_VERSION;
    const cloudEvent = { ...rest, type: eventType, time: eventTime, source: "/subscriptions/x", specversion: "1.0" };
    for (const event of [NEW_VERSION, cloudEvent]) {
      for (const body of [event, [event], JSON.stringify(event), JSON.stringify([event])])
        expect(parseKeyVaultEvent(body)).toEqual(expected);
    }
  });

  test.each([
    ["KeyNewVersionCreated", "new-version"],
    ["KeyNearExpiry", "near-expiry"],
    ["KeyExpired", "expired"],
  ])("%s is %s", (name, type) => {
    expect(eventsOf(parseKeyVaultEvent({ ...NEW_VERSION, eventType: `Microsoft.KeyVault.${name}` }))).toMatchObject([{ type }]);
  });

  test("of a secret, a certificate, a policy or another service is left out, whatever is in it", () => {
    const others = ["Microsoft.KeyVault.SecretExpired", "Microsoft.KeyVault.VaultAccessPolicyChanged", "Contoso.Sale"];
    const delivery = parseKeyVaultEvent([...others.map((eventType) => ({ ...NEW_VERSION, eventType, data: 7 })), NEW_VERSION]);
    expect(eventsOf(delivery)).toHaveLength(1);
  });

  test("takes dates in digits, which the documentation has too, and ids in any case", () => {
    const data = { id: KEY_ID.replace("acme", "ACME").replace(VERSION, VERSION.toUpperCase()), NBF: "1559081980", EXP: "1559082102" };
    expect(eventsOf(parseKeyVaultEvent(eventOf(data)))).toEqual([
      { type: "new-version", keyId: KEY_ID, notBeforeMs: 1_559_081_980_000, expiresMs: 1_559_082_102_000, eventId: "e-1" },
    ]);
  });
});

describe("the handshake", () => {
  const eventType = "Microsoft.EventGrid.SubscriptionValidationEvent";

  test("is answered with the code", () => {
    const data = { validationCode: "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", validationUrl: "https://rp-eastus2.eventgrid.azure.net/x" };
    expect(parseKeyVaultEvent([{ id: "1", eventType, data }])).toEqual({
      kind: "validation",
      answer: { validationResponse: "512d38b6-c7b8-40c8-89fe-f46f9e9622b6" },
    });
  });

  test.each([undefined, "", 7, "<script>", "a".repeat(129), "a\r\nb"])("is refused for the code %j", async (validationCode) => {
    expect(await refusal(() => parseKeyVaultEvent([{ id: "1", eventType, data: { validationCode } }]))).toMatchObject(NO_DELIVERY);
  });
});

describe("what is no delivery is refused", () => {
  test.each<readonly [what: string, body: unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["an empty list", []],
    ["a number", 7],
    ["no JSON", "[{"],
    ["more than a megabyte", JSON.stringify({ ...NEW_VERSION, subject: "x".repeat(2 ** 20) })],
    ["more events than one delivery has", Array.from({ length: 5001 }, () => NEW_VERSION)],
    ["a list in a list", [[NEW_VERSION]]],
    ["no type", [{ ...NEW_VERSION, eventType: undefined }]],
    ["a type that is no text", [{ ...NEW_VERSION, eventType: ["Microsoft.KeyVault.KeyExpired"] }]],
    ["no data", [{ ...NEW_VERSION, data: null }]],
    ["no id of an event", [{ ...NEW_VERSION, id: undefined }]],
    ["an id with a line break", [{ ...NEW_VERSION, id: "a\nb" }]],
    ["a good event and a bad one", [NEW_VERSION, { ...NEW_VERSION, data: {} }]],
    ["a date that is none", [eventOf({ ...DATA, EXP: "soon" })]],
    ["a date before all dates", [eventOf({ ...DATA, EXP: -1 })]],
    ["a date beyond all dates", [eventOf({ ...DATA, NBF: 1e300 })]],
    ...[
      KEY_ID.slice(0, -33),
      KEY_ID.slice(0, -1),
      `${KEY_ID}/`,
      `${KEY_ID}?x=1`,
      KEY_ID.replace("/keys/", "/secrets/"),
      KEY_ID.replace("https:", "http:"),
      KEY_ID.replace("orders", ".."),
      KEY_ID.replace("orders", "%2f"),
      KEY_ID.replace("https://", "https://me@"),
      ` ${KEY_ID}`,
    ].map((Id) => [`the id ${Id}`, [eventOf({ ...DATA, Id })]] as const),
  ])("%s", async (_what, body) => {
    expect(await refusal(() => parseKeyVaultEvent(body))).toMatchObject(NO_DELIVERY);
  });

  test("whatever comes (property)", () => {
    const anything = fc.oneof(fc.anything({ withNullPrototype: true, maxDepth: 4 }), fc.json());
    const mangled = fc
      .tuple(fc.constantFrom(...Object.keys(NEW_VERSION)), fc.anything())
      .map(([field, value]) => [{ ...NEW_VERSION, [field]: value }]);
    fc.assert(
      fc.property(fc.oneof(anything, mangled), (body) => {
        try {
          const delivery = parseKeyVaultEvent(body);
          if (delivery.kind === "events") for (const { keyId } of delivery.events) expect(keyId).toBe(KEY_ID);
        } catch (error) {
          expect(error).toBeInstanceOf(EnvelockError);
          expect(error).toMatchObject(NO_DELIVERY);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("a new version that is told of", () => {
  test("wraps at once where it would wait for ten minutes; a forged event changes nothing but a read", async () => {
    await using emulator = await AzureEmulator.start();
    const first = await emulator.createKey("orders", { type: "RSA", bits: 2048 });
    const key = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders"), minVersionAgeMs: 0 });
    expect((await wrapOne(key)).keyId).toBe(emulator.keyUrl("orders", first));
    const second = await emulator.rotate("orders");
    expect((await wrapOne(key)).keyId, "what was read stands for ten minutes").toBe(emulator.keyUrl("orders", first));

    const noted = (Id: string): boolean[] =>
      eventsOf(parseKeyVaultEvent(eventOf({ ...DATA, Id }))).map(({ keyId }) => key.noteNewVersion(keyId));
    expect(noted(KEY_ID), "of another vault").toEqual([false]);
    expect((await wrapOne(key)).keyId).toBe(emulator.keyUrl("orders", first));
    expect(noted(emulator.keyUrl("orders", second))).toEqual([true]);
    expect((await wrapOne(key)).keyId).toBe(emulator.keyUrl("orders", second));
    emulator.takeRequests();
    expect(noted(emulator.keyUrl("orders", "f".repeat(32))), "a version that there is not").toEqual([true]);
    expect((await wrapOne(key)).keyId).toBe(emulator.keyUrl("orders", second));
    expect(emulator.takeRequests().map(({ method }) => method)).toEqual(["GET", "POST"]);
  });
});

const NO_DELIVERY = { code: "invalid-argument", detail: "event" };

function eventOf(data: object): Record<string, unknown> {
  const topic = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/x/providers/Microsoft.KeyVault/vaults/acme";
  const eventType = "Microsoft.KeyVault.KeyNewVersionCreated";
  return {
    id: "e-1",
    topic,
    subject: "orders",
    eventType,
    eventTime: "2026-11-22T00:00:00Z",
    data,
    dataVersion: "1",
    metadataVersion: "1",
  };
}

function eventsOf(delivery: KeyVaultDelivery): Extract<KeyVaultDelivery, { kind: "events" }>["events"] {
  expect(delivery.kind).toBe("events");
  return delivery.kind === "events" ? delivery.events : [];
}
