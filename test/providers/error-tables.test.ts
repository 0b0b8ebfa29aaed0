import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MEANINGS } from "../../providers/aws-kms/failures.ts";
import { awsKmsKey } from "../../providers/aws-kms/index.ts";
import { gcpKmsKey } from "../../providers/gcp-kms/index.ts";
import { CRYPTO, DECRYPT } from "../../providers/vault/failures.ts";
import { vaultTransitKey } from "../../providers/vault/index.ts";
import type { ErrorCode } from "../../src/core/base/errors.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../src/index.ts";
import type { RawAnswer } from "../../src/testing/emulator/fault-plan.ts";
import { crc32c } from "../../src/testing/gcp-kms-emulator/crc32c.ts";
import { isAnswerName, namedAnswer } from "../../src/testing/vault-emulator/faults.ts";
import { VaultAnswer } from "../../src/testing/vault-emulator/index.ts";
import { noise } from "../support/arbitraries.ts";
import { refusal } from "../support/refusal.ts";
import { AWS_CASES } from "./error-tables/aws.ts";
import { type ErrorCase, NO_TIME_MS } from "./error-tables/error-case.ts";
import { GCP_CASES } from "./error-tables/gcp.ts";
import { VAULT_CASES } from "./error-tables/vault.ts";
import { keyServices } from "./key-services.ts";

// The tables of errors in docs/providers, row by row: the emulator answers so, and the provider says what the table says.

const { aws, gcp, vault, keyArn, orders } = await keyServices();
const DEK = noise(32, "errors");
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array() };

interface Table<Fault> {
  readonly page: string;
  readonly cases: readonly ErrorCase<Fault>[];
  readonly emulator: {
    failNext(fault: Fault | RawAnswer, on?: RegExp, times?: number): void;
    clearFaults(): void;
    holdNext(): { readonly arrived: Promise<void>; release(): void };
  };
  /** The requests that unwrap. */
  readonly on: RegExp;
  readonly secret: string;
  open(more?: object): KeyProvider;
  /** The answer to an unwrap with this text in the place of the plaintext in base64. */
  unwrapped(text: string): object;
}

checkTable("AWS KMS", {
  page: "aws-kms",
  cases: AWS_CASES,
  emulator: aws,
  on: /Decrypt/,
  secret: aws.credentials.secretAccessKey,
  open: (more) => awsKmsKey({ ...aws.connection, keyArn, ...more }),
  unwrapped: (Plaintext) => ({ KeyId: keyArn, Plaintext }),
});
checkTable("Google Cloud KMS", {
  page: "gcp-kms",
  cases: GCP_CASES,
  emulator: gcp,
  on: /decrypt/,
  secret: gcp.token,
  open: (more) => gcpKmsKey({ ...gcp.connection, key: orders, ...more }),
  unwrapped: (plaintext) => ({ plaintext, plaintextCrc32c: `${crc32c(DEK)}` }),
});
checkTable("Vault", {
  page: "vault",
  cases: VAULT_CASES,
  emulator: vault,
  on: /decrypt/,
  secret: vault.token,
  open: (more) => vaultTransitKey({ ...vault.connection, key: "orders", ...more }),
  unwrapped: (plaintext) => ({ data: { plaintext } }),
});

test("every name in the provider's table of AWS is ordered by a case", () => {
  const ordered = new Set(AWS_CASES.map(({ what }) => what.replace(/Exception$/, "")));
  expect(MEANINGS.flatMap(([names]) => names.split(" ")).filter((name) => !ordered.has(name))).toEqual([]);
});

test("every text in the provider's tables of Vault is answered by a case", () => {
  const texts = VAULT_CASES.map(({ fault }) => textOf(fault));
  const patterns = [...CRYPTO, ...DECRYPT].map(([pattern]) => pattern);
  expect(patterns.filter((pattern) => !texts.some((text) => pattern.test(text))).map(String)).toEqual([]);
});

function checkTable<Fault>(service: string, { page, cases, emulator, on, secret, open, unwrapped }: Table<Fault>): void {
  const rows = rowsOf(page);
  const openFor = ({ isSlow }: ErrorCase<Fault>): KeyProvider => open(isSlow ? { timeoutMs: NO_TIME_MS } : {});
  let recipient: Recipient | undefined;

  describe(service, () => {
    for (const one of cases) {
      test(`${one.row} ${one.what}: ${one.code}`, async () => {
        recipient ??= await open().wrap(DEK, OPTIONS);
        const wrapped = recipient;
        const provider = openFor(one);
        const isToWrap = one.isToWrap === true;
        if (isToWrap) await provider.wrap(DEK, OPTIONS); // the trial before the first one is no part of it
        emulator.failNext(one.fault, isToWrap ? undefined : on, one.times);
        const error = await refusal(() => (isToWrap ? provider.wrap(DEK, OPTIONS) : provider.unwrap(wrapped, OPTIONS)));
        emulator.clearFaults();
        const { code, detail, retryable, retryAfterMs, whose } = error;
        expect({ code, detail, retryable, retryAfterMs, whose }).toEqual({
          code: one.code,
          detail: one.detail,
          retryable: one.retryable ?? RETRYABLE.has(one.code),
          retryAfterMs: one.retryAfterMs,
          whose: undefined, // a provider does not know whose its key is
        });
        if (one.hint === undefined) expect(error.hint).toBeUndefined();
        else expect(error.hint).toMatch(one.hint);
        const shown = `${error.message}${error.stack}${JSON.stringify(error)}${JSON.stringify(error.cause)}`;
        for (const hidden of [secret, Buffer.from(wrapped.wrapped).toString("base64"), "QUOTED"]) expect(shown).not.toContain(hidden);
        expect(await open().unwrap(wrapped, OPTIONS), "it has passed").toEqual(DEK);
      });
    }

    test("base64 is taken in the one spelling that the service writes", async () => {
      const wrapped = await open().wrap(DEK, OPTIONS);
      const right = Buffer.from(DEK).toString("base64");
      const unwrapAs = (text: string): Promise<Uint8Array> => {
        emulator.failNext({ status: 200, text: JSON.stringify(unwrapped(text)) }, on);
        return open().unwrap(wrapped, OPTIONS);
      };
      expect(await unwrapAs(right)).toEqual(DEK);
      const last = String.fromCharCode(right.charCodeAt(right.length - 2) + 1); // bits that no byte has
      const others = [right.replace(/=+$/, ""), `${right}=`, `${right}\n`, ` ${right}`, right.replace(/^..../, "$&\r\n")];
      for (const text of [...others, `-_${right.slice(2)}`, `${right.slice(0, -2)}${last}=`, `${right}${right}`, "===="]) {
        const { code, detail } = await refusal(() => unwrapAs(text));
        expect([code, detail], JSON.stringify(text)).toEqual(["provider-failure", "broken-answer"]);
      }
    });

    test("a call in flight ends with its own answer when its provider closes, and with the caller's reason when that aborts", async () => {
      const provider = open();
      const wrapped = await provider.wrap(DEK, OPTIONS);
      const stop = new AbortController();
      const aborted = emulator.holdNext();
      const first = provider.unwrap(wrapped, { ...OPTIONS, signal: stop.signal }).catch((error: unknown) => error);
      await aborted.arrived;
      const reason = new Error("the caller's");
      stop.abort(reason);
      expect(await first).toBe(reason);
      aborted.release();
      const closed = emulator.holdNext();
      const second = provider.unwrap(wrapped, OPTIONS);
      await closed.arrived;
      await provider.close?.();
      closed.release();
      expect(await second).toEqual(DEK);
      expect(await refusal(() => provider.unwrap(wrapped, OPTIONS))).toMatchObject({ code: "closed" });
    });

    test("every row of the page has a case, and no case says other than its row", () => {
      const covered = new Set<Row>();
      for (const { row, code, detail } of cases) {
        const fitting = rows.filter(({ line }) => line.startsWith(row));
        expect(
          fitting.map(({ line }) => line),
          row,
        ).toHaveLength(1);
        for (const found of fitting) {
          expect(found.codes, found.line).toContain(code);
          if (found.details.length > 0 && detail !== undefined) expect(found.details, found.line).toContain(detail);
          covered.add(found);
        }
      }
      expect(rows.filter((row) => !covered.has(row)).map(({ line }) => line)).toEqual([]);
    });

    test.each([
      "unavailable",
      "timeout",
      "access-denied",
      "key-disabled",
      "provider-failure",
    ] as const)("a tenant's keyring says of %s whose it is, where that can be known", async (code) => {
      const found = cases.find((one) => one.code === code && one.isToWrap === undefined);
      if (found === undefined) throw new Error(`no case of ${code}`);
      const envelope = await new Keyring({ wrapWith: [open()] }).encrypt(DEK);
      const keyring = new Keyring({ unwrapWith: [openFor(found)], retry: false, tenant: { id: "acme" } });
      emulator.failNext(found.fault, on, 100);
      const { tenant, whose, ...error } = await refusal(() => keyring.decrypt(envelope));
      emulator.clearFaults();
      expect({ code: error.code, tenant, whose }).toEqual({ code, tenant: "acme", whose: BY_SERVICE.has(code) ? "service" : undefined });
    });
  });
}

interface Row {
  /** The row without the bar at its beginning. */
  readonly line: string;
  readonly codes: readonly string[];
  readonly details: readonly string[];
}

/** The rows of the table under `## Errors`. */
function rowsOf(page: string): readonly Row[] {
  const text = readFileSync(new URL(`../../docs/providers/${page}.md`, import.meta.url), "utf8");
  const [, section = ""] = text.split("\n## Errors\n");
  const [table = ""] = section.split("\n## ");
  const words = (cell: string): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word);
  const lines = table.split("\n").flatMap((line) => (line.startsWith("| ") ? [line.slice(2)] : []));
  return lines.slice(1).map((line) => {
    const [, code = "", detail = ""] = line.split(" | ");
    return { line, codes: words(code), details: words(detail) };
  });
}

function textOf(fault: unknown): string {
  if (fault instanceof VaultAnswer) return fault.errors.join();
  return typeof fault === "string" && isAnswerName(fault) ? namedAnswer(fault).errors.join() : "";
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set(["unavailable", "rate-limited", "timeout"]);
const BY_SERVICE: ReadonlySet<ErrorCode> = new Set(["unavailable", "timeout"]);
