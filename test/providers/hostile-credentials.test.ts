import { describe, expect, test } from "vitest";
import { awsKmsKey } from "../../providers/aws-kms/index.ts";
import { gcpKmsKey } from "../../providers/gcp-kms/index.ts";
import { vaultTransitKey } from "../../providers/vault/index.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { keyServices } from "./key-services.ts";

// Functions that give credentials as nobody would wish, at each of the services.

const clock = fakeClock();
const { aws, gcp, vault, keyArn, orders } = await keyServices({ clock });
const HOUR_MS = 3_600_000;

/** What a function gives, and the name of the member that is shown to the service. */
interface Family {
  readonly secret: string;
  open(source: () => unknown): Required<Pick<KeyProvider, "current">>;
  requests(): number;
  /** Credentials that work. @param endMs when they say that they end */
  good(endMs?: unknown): Record<string, unknown>;
}

const FAMILIES: readonly (readonly [string, Family])[] = [
  [
    "AWS KMS",
    {
      secret: "sessionToken",
      open: (source) => awsKmsKey({ ...aws.connection, clock, keyArn, credentials: untyped(source) }),
      requests: () => aws.takeRequests().length,
      good: (endMs) => {
        const { accessKeyId, secretAccessKey, sessionToken } = aws.credentials;
        return {
          accessKeyId,
          secretAccessKey,
          ...(sessionToken !== undefined && { sessionToken }),
          ...(endMs !== undefined && { expiration: typeof endMs === "number" ? new Date(endMs) : endMs }),
        };
      },
    },
  ],
  [
    "Google Cloud KMS",
    {
      secret: "token",
      open: (source) => gcpKmsKey({ ...gcp.connection, clock, key: orders, token: untyped(source) }),
      requests: () => gcp.takeRequests().length,
      good: (endMs) => ({ token: gcp.token, ...(endMs !== undefined && { expiresAtMs: endMs }) }),
    },
  ],
  [
    "Vault",
    {
      secret: "token",
      open: (source) => vaultTransitKey({ ...vault.connection, clock, key: "orders", token: untyped(source) }),
      requests: () => vault.takeRequests().length,
      good: (endMs) => ({ token: vault.token, ...(endMs !== undefined && { expiresAtMs: endMs }) }),
    },
  ],
];

describe.each(FAMILIES)("%s: a function", (_name, { secret, open, requests, good }) => {
  test("that never answers is given up, and asked anew", async () => {
    let asked = 0;
    const key = open(() => (++asked === 1 ? new Promise(() => {}) : Promise.resolve(good())));
    const stuck = [refusal(() => key.current()), refusal(() => key.current())];
    await expect.poll(() => asked).toBe(1);
    clock.advanceNow(60_000);
    for (const error of await Promise.all(stuck)) expect(error).toMatchObject({ code: "timeout", retryable: true });
    await key.current();
    expect(asked).toBe(2);
  });

  test("whose credentials have ended by this machine's clock, and not by the service's, is not asked for every call", async () => {
    let asked = 0;
    const key = open(async () => {
      asked++;
      return good(clock.unixMs() - HOUR_MS);
    });
    for (let call = 0; call < 5; call++) await key.current();
    expect(asked).toBe(1);
    clock.advanceNow(30_000);
    await key.current();
    expect(asked).toBe(2);
  });

  test("whose credentials do not say when they end is asked once", async () => {
    let asked = 0;
    const key = open(async () => {
      asked++;
      return good();
    });
    for (let call = 0; call < 3; call++) await key.current();
    expect(asked).toBe(1);
  });

  test("that changes in place what it gave changes nothing", async () => {
    const held = good(clock.unixMs() + HOUR_MS);
    const key = open(async () => held);
    await key.current();
    for (const name of Object.keys(held)) held[name] = "changed\r\nx-evil: 1";
    await key.current();
  });

  test.each([
    ["a line break", "a\r\nx-evil: 1"],
    ["no text", 7],
    ["nothing", ""],
    ["what no header takes", "sécret"],
  ])("that gives %s in it is told, and nothing is sent", async (_what, value) => {
    requests();
    const key = open(async () => ({ ...good(), [secret]: value }));
    const error = await refusal(() => key.current());
    expect(error).toMatchObject({ code: "access-denied", detail: "credential", retryable: false });
    expect(`${error.stack}${JSON.stringify(error)}`).not.toContain("x-evil");
    expect(requests()).toBe(0);
  });

  test.each([
    ["text", "soon"],
    ["no number", Number.NaN],
    ["a list", []],
  ])("that gives %s for an end is told", async (_what, endMs) => {
    expect(await refusal(() => open(async () => good(endMs)).current())).toMatchObject({ code: "access-denied", detail: "credential" });
  });

  test.each([
    ["throws", () => Promise.reject(new Error("no profile"))],
    [
      "throws at once",
      () => {
        throw new Error("at once");
      },
    ],
    ["gives nothing", async () => undefined],
    ["gives a list", async () => []],
    [
      "gives what throws when it is read",
      async () =>
        Object.defineProperty({ ...good() }, secret, {
          get: () => {
            throw new Error("read");
          },
        }),
    ],
  ])("that %s is told", async (_what, source) => {
    expect(await refusal(() => open(source).current())).toMatchObject({ code: "access-denied", detail: "credential" });
  });
});
