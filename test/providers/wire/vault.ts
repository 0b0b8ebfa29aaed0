import { fieldOf } from "../../../providers/http/fields.ts";
import { vaultTransitKey } from "../../../providers/vault/index.ts";
import type { HttpFetch } from "../../../src/core/base/http-fetch.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import type { VaultEmulator } from "../../../src/testing/vault-emulator/index.ts";
import {
  type Answer,
  changing,
  type Exchange,
  type Json,
  jsonOf,
  PAGE,
  spellingBlind,
  Tamper,
  type WireMutant,
  type WireService,
  ZEROS,
} from "./wire.ts";

/** Vault: an AES key. Its answers name no key; the version stands in them twice. */
export function vaultService(emulator: VaultEmulator): WireService {
  for (const name of ["orders", "orders-2"]) emulator.createKey(name);
  emulator.rotate("orders");
  const tamper = new Tamper();
  let token = emulator.issueToken();
  let ignoresContext = false;
  /** A server before 1.12 does not know the field. */
  const send: HttpFetch = async (url, request) => {
    const { associated_data: _, ...body } = jsonOf(request.body ?? "{}");
    return await emulator.fetch(url, ignoresContext && request.body !== undefined ? { ...request, body: JSON.stringify(body) } : request);
  };
  const open = (key: string, mutant: WireMutant | undefined): KeyProvider => {
    const kept = token;
    const fetch = changing(send, operationOf, [tamper.through, mutant?.seen ?? (() => undefined)]);
    const source = async () => ({ token: mutant?.keepsCredentials === true ? kept : token });
    const sound = vaultTransitKey({ address: emulator.url, key, token: source, fetch });
    return mutant?.provider?.(sound) ?? sound;
  };
  const inData = (change: (data: Json) => Json) => (answer: Json) => ({ ...answer, data: change(dataOf(answer)) });

  return {
    harness: (mutant) => ({
      bindsContext: true,
      open: () => open("orders", mutant),
      openOther: () => open("orders-2", mutant),
      calls: () => emulator.requests.length,
      wrongAnswers: {
        "names another version than its ciphertext": tamper.wrong(
          "wrap",
          "encrypt",
          inData((data) => ({ ...data, key_version: 1 })),
        ),
        "names no version": tamper.wrong(
          "wrap",
          "encrypt",
          inData(({ key_version: _, ...data }) => data),
        ),
        "has a ciphertext of version zero": tamper.wrong(
          "wrap",
          "encrypt",
          inData(({ ciphertext }) => ({ ciphertext: `${ciphertext}`.replace(/v\d+/, "v0"), key_version: 0 })),
        ),
        "has no plaintext": tamper.wrong(
          "unwrap",
          "decrypt",
          inData(() => ({})),
        ),
        "has no ciphertext": tamper.wrong(
          "wrap",
          "encrypt",
          inData(({ ciphertext: _, ...data }) => data),
        ),
        "is a page": tamper.wrong("unwrap", "decrypt", PAGE),
        "is a page for a ciphertext": tamper.wrong("wrap", "encrypt", PAGE),
      },
      ignoreContext() {
        ignoresContext = true;
        return () => {
          ignoresContext = false;
        };
      },
      endCredentials() {
        emulator.revokeTokens();
        token = emulator.issueToken();
      },
      otherSpellings: (keyId) => [
        keyId.replace(/#(\d+)$/, "#0$1"),
        keyId.replace("127.0.0.1", "localhost"),
        keyId.replace("/transit/", "//transit/"),
        keyId.toUpperCase(),
        keyId.replace(/#\d+$/, "#0"),
      ],
    }),
    mutants: [
      {
        fault: "does not compare the versions of an answer",
        rejectedBy: [
          "an answer to wrap that names another version than its ciphertext is refused",
          "an answer to wrap that names no version is refused",
        ],
        seen: seeingData("encrypt", ({ ciphertext, ...data }) => {
          const [, version = "0"] = /^vault:v([1-9]\d*):/.exec(`${ciphertext}`) ?? [];
          return { ...data, ciphertext, ...(version !== "0" && { key_version: Number(version) }) };
        }),
      },
      {
        fault: "takes version zero for one",
        rejectedBy: ["an answer to wrap that has a ciphertext of version zero is refused"],
        seen: seeingData("encrypt", (data) =>
          fieldOf(data, "key_version") === 0 ? { ciphertext: `${fieldOf(data, "ciphertext")}`.replace("v0", "v1"), key_version: 1 } : data,
        ),
      },
      {
        fault: "takes a plaintext that is missing for zeros",
        rejectedBy: ["an answer to unwrap that has no plaintext is refused"],
        seen: seeingData("decrypt", (data) => ({ plaintext: ZEROS, ...data })),
      },
      {
        fault: "takes a ciphertext that is missing for zeros",
        rejectedBy: ["an answer to wrap that has no ciphertext is refused"],
        seen: seeingData("encrypt", (data) => ({ ciphertext: `vault:v2:${ZEROS}`, ...data })),
      },
      {
        fault: "takes a page for an answer",
        rejectedBy: ["an answer to unwrap that is a page is refused", "an answer to wrap that is a page for a ciphertext is refused"],
        seen: ({ text }) =>
          text === PAGE
            ? { status: 200, text: JSON.stringify({ data: { plaintext: ZEROS, ciphertext: `vault:v2:${ZEROS}`, key_version: 2 } }) }
            : undefined,
      },
      {
        fault: "tries no other context before its first wrap",
        rejectedBy: ["a service that ignores the context gets no data key"],
        seen: (_, count) =>
          count === 3 ? { status: 400, text: JSON.stringify({ errors: ["cipher: message authentication failed"] }) } : undefined,
      },
      {
        fault: "keeps its token for ever",
        rejectedBy: ["credentials that end between two calls are replaced"],
        keepsCredentials: true,
      },
      {
        fault: "takes a version with a zero before it",
        rejectedBy: ["another spelling of the key id is not owned"],
        provider: (sound) => spellingBlind(sound, (keyId) => keyId.replace(/#0(\d)/, "#$1")),
      },
    ],
  };
}

function seeingData(operation: string, change: (data: Json) => Json): (exchange: Exchange) => Answer | undefined {
  return (exchange) => {
    if (exchange.operation !== operation || exchange.status !== 200 || exchange.text === PAGE) return undefined;
    const answer = jsonOf(exchange.text);
    return { status: 200, text: JSON.stringify({ ...answer, data: change(dataOf(answer)) }) };
  };
}

function dataOf(answer: Json): Json {
  return jsonOf(JSON.stringify(fieldOf(answer, "data")));
}

function operationOf(url: string): string {
  return new URL(url).pathname.split("/")[3] ?? "";
}
