import { awsKmsKey } from "../../../providers/aws-kms/index.ts";
import { fieldOf } from "../../../providers/http/fields.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import type { AwsKmsEmulator } from "../../../src/testing/aws-kms-emulator/index.ts";
import { changing, jsonOf, PAGE, seeing, spellingBlind, Tamper, type WireMutant, type WireService, ZEROS } from "./wire.ts";

/** AWS KMS: a symmetric key whose material is tracked. */
export function awsService(emulator: AwsKmsEmulator): WireService {
  const keyArn = emulator.createKey();
  const otherArn = emulator.createKey();
  const movable = keyArn.replace(/key\/.*/, "alias/orders");
  const tamper = new Tamper();
  let credentials = emulator.issueCredentials();
  const open = (arn: string, mutant: WireMutant | undefined): KeyProvider => {
    const kept = credentials;
    const fetch = changing(emulator.fetch, operationOf, [tamper.through, mutant?.seen ?? (() => undefined)]);
    const source = async () => ({ ...(mutant?.keepsCredentials === true ? kept : credentials), expiration: undefined });
    const sound = awsKmsKey({ keyArn: arn, endpoint: emulator.url, credentials: source, fetch, trackMaterial: true });
    return mutant?.provider?.(sound) ?? sound;
  };
  const other = { KeyId: otherArn };
  const opened = new Map<unknown, unknown>();
  let material: unknown;

  return {
    harness: (mutant) => ({
      bindsContext: true,
      open: () => open(keyArn, mutant),
      openOther: () => open(otherArn, mutant),
      calls: () => emulator.requests.length,
      maxCalls: { wrap: 2, unwrap: 1, current: 1 },
      wrongAnswers: {
        "names another key": tamper.wrong("unwrap", "Decrypt", other),
        "names the key that its alias was moved to": tamper.wrong("unwrap", "Decrypt", { KeyId: movable }),
        "names another key for a ciphertext": tamper.wrong("wrap", "Encrypt", other),
        "has no plaintext": tamper.wrong("unwrap", "Decrypt", without("Plaintext")),
        "has no ciphertext": tamper.wrong("wrap", "Encrypt", without("CiphertextBlob")),
        "is a page": tamper.wrong("unwrap", "Decrypt", PAGE),
        "is a page for a ciphertext": tamper.wrong("wrap", "Encrypt", PAGE),
        "names another key material": {
          ...tamper.wrong("unwrap", "Decrypt", { KeyMaterialId: "0".repeat(64) }),
          code: "unwrap-rejected",
        },
        "names no key material": tamper.wrong("unwrap", "Decrypt", without("KeyMaterialId")),
      },
      ignoreContext() {
        tamper.always = ({ operation, sent, status, text }) => {
          const answer = jsonOf(text);
          if (operation === "Encrypt") opened.set(fieldOf(answer, "CiphertextBlob"), fieldOf(sent, "Plaintext"));
          if (operation !== "Decrypt" || status === 200) return undefined;
          return {
            status: 200,
            text: JSON.stringify({ KeyId: fieldOf(sent, "KeyId"), Plaintext: opened.get(fieldOf(sent, "CiphertextBlob")) }),
          };
        };
        return () => {
          tamper.always = undefined;
        };
      },
      endCredentials() {
        emulator.revokeCredentials();
        credentials = emulator.issueCredentials();
      },
      otherSpellings: (keyId) => [
        keyId.toUpperCase(),
        keyId.replace(/^arn:.*key\//, ""),
        keyId.replace(/#.*/, (material) => material.toUpperCase().replaceAll("0", "A")),
        keyId.replace("arn:aws:kms:", "arn:aws:KMS:"),
      ],
      openByMovableName: () => {
        emulator.setAlias("alias/orders", keyArn);
        return mutant?.openByMovableName?.() ?? open(movable, mutant);
      },
    }),
    mutants: [
      {
        fault: "does not compare the key of an answer",
        rejectedBy: [
          "an answer to unwrap that names another key is refused",
          "an answer to unwrap that names the key that its alias was moved to is refused",
          "an answer to wrap that names another key for a ciphertext is refused",
        ],
        seen: (exchange) =>
          exchange.text === PAGE || exchange.operation === "DescribeKey"
            ? undefined
            : seeing(exchange.operation, (_, { sent }) => ({ KeyId: fieldOf(sent, "KeyId") }))(exchange),
      },
      {
        fault: "takes a plaintext that is missing for zeros",
        rejectedBy: ["an answer to unwrap that has no plaintext is refused"],
        seen: (exchange) =>
          exchange.text === PAGE ? undefined : seeing("Decrypt", (answer) => ({ Plaintext: ZEROS, ...answer }))(exchange),
      },
      {
        fault: "takes a ciphertext that is missing for an empty one",
        rejectedBy: ["an answer to wrap that has no ciphertext is refused"],
        provider: (sound) => wrapsAnyway(sound, keyArn, /holds no ciphertext/),
      },
      {
        fault: "takes a page for an answer",
        rejectedBy: ["an answer to unwrap that is a page is refused", "an answer to wrap that is a page for a ciphertext is refused"],
        seen({ text, sent }) {
          material = fieldOf(jsonOf(text), "KeyMaterialId") ?? material;
          const answer = { KeyId: fieldOf(sent, "KeyId"), Plaintext: ZEROS, CiphertextBlob: ZEROS, KeyMaterialId: material };
          return text === PAGE ? { status: 200, text: JSON.stringify(answer) } : undefined;
        },
        provider: (sound) => wrapsAnyway(sound, keyArn, /InvalidCiphertext/),
      },
      {
        fault: "does not compare the key material",
        rejectedBy: [
          "an answer to unwrap that names another key material is refused",
          "an answer to unwrap that names no key material is refused",
        ],
        provider: materialBlind,
      },
      {
        fault: "tries no other context before its first wrap",
        rejectedBy: ["a service that ignores the context gets no data key"],
        seen: (_, count) => (count === 3 ? { status: 400, text: JSON.stringify({ __type: "InvalidCiphertextException" }) } : undefined),
      },
      {
        fault: "keeps its credentials for ever",
        rejectedBy: ["credentials that end between two calls are replaced"],
        keepsCredentials: true,
      },
      {
        fault: "takes another spelling for its key id",
        rejectedBy: ["another spelling of the key id is not owned"],
        provider: (sound) => spellingBlind(sound, (keyId) => (keyId.startsWith("ARN:") ? keyId.toLowerCase() : keyId)),
      },
      {
        fault: "opens a key by its alias",
        rejectedBy: ["a name that can be moved is refused"],
        openByMovableName: () => open(keyArn, undefined),
      },
    ],
  };
}

function operationOf(_url: string, headers: Readonly<Record<string, string>>): string {
  return headers["x-amz-target"]?.split(".")[1] ?? "";
}

function without(name: string): (answer: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>> {
  return ({ [name]: _, ...rest }) => rest;
}

/** Asks for the bare ARN, whose material is not compared. */
function materialBlind(sound: KeyProvider): KeyProvider {
  return {
    ...sound,
    unwrap: (recipient, options) => sound.unwrap({ ...recipient, keyId: recipient.keyId.replace(/#[0-9a-f]{64}$/, "") }, options),
  };
}

/** Wraps to nothing where the sound provider refuses the answer with such a message. */
function wrapsAnyway(sound: KeyProvider, keyId: string, message: RegExp): KeyProvider {
  return {
    ...sound,
    wrap: (dek, options) =>
      sound.wrap(dek, options).catch((error: Error) => {
        if (message.test(error.message)) return { provider: "aws-kms", keyId, alg: 9, wrapped: new Uint8Array() };
        throw error;
      }),
  };
}
