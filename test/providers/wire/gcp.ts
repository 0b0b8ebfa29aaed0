import { gcpKmsKey } from "../../../providers/gcp-kms/index.ts";
import { fieldOf } from "../../../providers/http/fields.ts";
import type { HttpFetch } from "../../../src/core/base/http-fetch.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { crc32c } from "../../../src/testing/gcp-kms-emulator/crc32c.ts";
import type { GcpKmsEmulator } from "../../../src/testing/gcp-kms-emulator/index.ts";
import { changing, type Json, jsonOf, PAGE, seeing, spellingBlind, Tamper, type WireMutant, type WireService, ZEROS } from "./wire.ts";

/** Cloud KMS: a software key whose version is read before an unwrap. */
export function gcpService(emulator: GcpKmsEmulator): WireService {
  const key = emulator.createKey("orders");
  const otherKey = emulator.createKey("orders-2");
  emulator.rotate("orders");
  const tamper = new Tamper();
  let token = emulator.issueToken();
  let ignoresContext = false;
  /** Sends every request under one and the same context, while the service is to ignore it. */
  const send: HttpFetch = async (url, request) => {
    const body = jsonOf(request.body ?? "{}");
    if (!ignoresContext || fieldOf(body, "additionalAuthenticatedData") === undefined) return await emulator.fetch(url, request);
    const same = { additionalAuthenticatedData: ZEROS, additionalAuthenticatedDataCrc32c: `${crc32c(Buffer.from(ZEROS, "base64"))}` };
    return await emulator.fetch(url, { ...request, body: JSON.stringify({ ...body, ...same }) });
  };
  const open = (name: string, mutant: WireMutant | undefined): KeyProvider => {
    const kept = token;
    const fetch = changing(send, operationOf, [tamper.through, mutant?.seen ?? (() => undefined)]);
    const source = async () => ({ token: mutant?.keepsCredentials === true ? kept : token });
    const sound = gcpKmsKey({ key: name, endpoint: emulator.url, token: source, fetch, verifyVersion: true });
    return mutant?.provider?.(sound) ?? sound;
  };
  const otherVersion = { name: `${key}/cryptoKeyVersions/1` };

  return {
    harness: (mutant) => ({
      bindsContext: true,
      open: () => open(key, mutant),
      openOther: () => open(otherKey, mutant),
      calls: () => emulator.requests.length,
      maxCalls: { wrap: 1, unwrap: 2, current: 1 },
      wrongAnswers: {
        "names another key": tamper.wrong("wrap", "encrypt", { name: `${otherKey}/cryptoKeyVersions/1` }),
        "names a key without a version": tamper.wrong("wrap", "encrypt", { name: key }),
        "names another version than was read": tamper.wrong("unwrap", "read", otherVersion),
        "has no plaintext": tamper.wrong("unwrap", "decrypt", without("plaintext")),
        "has no ciphertext": tamper.wrong("wrap", "encrypt", without("ciphertext")),
        "is a page": tamper.wrong("unwrap", "decrypt", PAGE),
        "is a page for a ciphertext": tamper.wrong("wrap", "encrypt", PAGE),
        "has another plaintext than its checksum": {
          ...tamper.wrong("unwrap", "decrypt", { plaintext: ZEROS }),
          code: "unavailable",
        },
        "has another ciphertext than its checksum": {
          ...tamper.wrong("wrap", "encrypt", { ciphertext: ZEROS }),
          code: "unavailable",
        },
        "has verified another plaintext": {
          ...tamper.wrong("wrap", "encrypt", { verifiedPlaintextCrc32c: false }),
          code: "unavailable",
        },
        "has verified no context": {
          ...tamper.wrong("wrap", "encrypt", without("verifiedAdditionalAuthenticatedDataCrc32c")),
          code: "unavailable",
        },
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
        keyId.replace(/projects\/[^/]+/, "projects/123456789012"),
        keyId.replace(/\d+$/, "0$&"),
        `//cloudkms.googleapis.com/${keyId}`,
        `${keyId}/`,
      ],
    }),
    mutants: [
      {
        fault: "does not look at the name in an answer to a wrap",
        rejectedBy: [
          "an answer to wrap that names another key is refused",
          "an answer to wrap that names a key without a version is refused",
        ],
        seen: (exchange) =>
          exchange.text === PAGE ? undefined : seeing("encrypt", () => ({ name: `${key}/cryptoKeyVersions/2` }))(exchange),
      },
      {
        fault: "does not compare the version that was read",
        rejectedBy: ["an answer to unwrap that names another version than was read is refused"],
        seen: seeing("read", (_, { url }) => ({ name: decodeURIComponent(new URL(url).pathname.replace("/v1/", "")) })),
      },
      {
        fault: "takes a plaintext that is missing for zeros",
        rejectedBy: ["an answer to unwrap that has no plaintext is refused"],
        seen: (exchange) =>
          exchange.text === PAGE || "plaintext" in jsonOf(exchange.text)
            ? undefined
            : seeing("decrypt", () => zeros("plaintext"))(exchange),
      },
      {
        fault: "takes a ciphertext that is missing for zeros",
        rejectedBy: ["an answer to wrap that has no ciphertext is refused"],
        seen: (exchange) =>
          exchange.text === PAGE || "ciphertext" in jsonOf(exchange.text)
            ? undefined
            : seeing("encrypt", () => zeros("ciphertext"))(exchange),
      },
      {
        fault: "takes a page for an answer",
        rejectedBy: ["an answer to unwrap that is a page is refused", "an answer to wrap that is a page for a ciphertext is refused"],
        seen: ({ text }) =>
          text === PAGE
            ? {
                status: 200,
                text: JSON.stringify({ ...VERIFIED, name: `${key}/cryptoKeyVersions/2`, ...zeros("plaintext"), ...zeros("ciphertext") }),
              }
            : undefined,
      },
      {
        fault: "does not compute the checksum of a plaintext",
        rejectedBy: ["an answer to unwrap that has another plaintext than its checksum is refused"],
        seen: (exchange) => checksumsRight(exchange.text, "plaintext"),
      },
      {
        fault: "does not compute the checksum of a ciphertext",
        rejectedBy: ["an answer to wrap that has another ciphertext than its checksum is refused"],
        seen: (exchange) => checksumsRight(exchange.text, "ciphertext"),
      },
      {
        fault: "does not ask what was verified",
        rejectedBy: [
          "an answer to wrap that has verified another plaintext is refused",
          "an answer to wrap that has verified no context is refused",
        ],
        seen: (exchange) => (exchange.text === PAGE ? undefined : seeing("encrypt", () => VERIFIED)(exchange)),
      },
      {
        fault: "tries no other context before its first wrap",
        rejectedBy: ["a service that ignores the context gets no data key"],
        seen: (_, count) => (count === 3 ? { status: 400, text: JSON.stringify({ error: { status: "INVALID_ARGUMENT" } }) } : undefined),
      },
      {
        fault: "keeps its token for ever",
        rejectedBy: ["credentials that end between two calls are replaced"],
        keepsCredentials: true,
      },
      {
        fault: "takes the number of a project for its id",
        rejectedBy: ["another spelling of the key id is not owned"],
        provider: (sound) => spellingBlind(sound, (keyId) => keyId.replace("projects/123456789012", key.split("/").slice(0, 2).join("/"))),
      },
    ],
  };
}

const VERIFIED = { verifiedPlaintextCrc32c: true, verifiedAdditionalAuthenticatedDataCrc32c: true };

function zeros(field: string): Json {
  return { [field]: ZEROS, [`${field}Crc32c`]: `${crc32c(Buffer.from(ZEROS, "base64"))}` };
}

function checksumsRight(text: string, field: string): { status: number; text: string } | undefined {
  const answer = jsonOf(text);
  const value = fieldOf(answer, field);
  if (typeof value !== "string") return undefined;
  return { status: 200, text: JSON.stringify({ ...answer, [`${field}Crc32c`]: `${crc32c(Buffer.from(value, "base64"))}` }) };
}

function operationOf(url: string): string {
  return /:(\w+)$/.exec(new URL(url).pathname)?.[1] ?? "read";
}

function without(name: string): (answer: Json) => Json {
  return ({ [name]: _, ...rest }) => rest;
}
