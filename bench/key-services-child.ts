import { deepStrictEqual } from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { KeyProvider } from "envelock";
import { type HttpFetch, type HttpFetchRequest, type HttpsFetch, httpsFetch } from "envelock/node";
import { awsKmsKey } from "envelock/providers/aws-kms";
import { gcpKmsKey } from "envelock/providers/gcp-kms";
import { vaultTransitKey } from "envelock/providers/vault";
import { installed } from "../test/support/npm-tools.ts";
import { type Contest, runContest } from "./harness.ts";

// Started by bench/key-services.ts, once for each service, with the emulator's certificate among those that Node trusts.

/** What `envelock dev` says of an emulator. */
interface Emulator {
  readonly url: string;
  readonly keys: readonly [string];
  readonly environment: Readonly<Record<string, string>>;
}

/** A service with our provider over a `fetch`, and with its own client. */
interface Service {
  readonly name: string;
  provider(fetch: HttpFetch): KeyProvider;
  readonly theirs: Foreign;
}

interface Foreign {
  readonly name: string;
  wrap(): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array): Promise<Uint8Array>;
}

function awsKms({ url, keys: [keyArn], environment }: Emulator): Service {
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } = environment;
  const credentials = { accessKeyId, secretAccessKey };
  const kms = foreign(["@aws-sdk/client-kms@3.1164.0"])("@aws-sdk/client-kms");
  const client = new kms.KMSClient({ region: "eu-central-1", endpoint: url, credentials, maxAttempts: 1 });
  const EncryptionContext = { "envelock:aad": createHash("sha256").update(AAD).digest("base64") };
  return {
    name: "aws kms",
    provider: (fetch) => awsKmsKey({ keyArn, credentials, endpoint: url, fetch }),
    theirs: {
      name: "@aws-sdk/client-kms",
      wrap: async () => (await client.send(new kms.EncryptCommand({ KeyId: keyArn, Plaintext: DEK, EncryptionContext }))).CiphertextBlob,
      unwrap: async (wrapped) => (await client.send(new kms.DecryptCommand({ CiphertextBlob: wrapped, EncryptionContext }))).Plaintext,
    },
  };
}

function gcpKms({ url, keys: [key], environment }: Emulator): Service {
  const { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: tokenFile = "" } = environment;
  const token = readFileSync(tokenFile, "utf8").trim();
  const load = foreign(["@google-cloud/kms@5.7.0"]);
  const { KeyManagementServiceClient } = load("@google-cloud/kms");
  const { OAuth2Client } = load("google-auth-library");
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: token });
  const { hostname, port } = new URL(url);
  const place = { fallback: true, protocol: "https", apiEndpoint: hostname, port: Number(port) };
  const client = new KeyManagementServiceClient({ ...place, authClient });
  const additionalAuthenticatedData = createHash("sha512").update(AAD).digest();
  return {
    name: "google cloud kms",
    provider: (fetch) => gcpKmsKey({ key, token: async () => ({ token }), endpoint: url, fetch }),
    theirs: {
      name: "@google-cloud/kms",
      wrap: async () => (await client.encrypt({ name: key, plaintext: DEK, additionalAuthenticatedData }))[0].ciphertext,
      unwrap: async (ciphertext) => (await client.decrypt({ name: key, ciphertext, additionalAuthenticatedData }))[0].plaintext,
    },
  };
}

function vault({ url, keys: [key], environment }: Emulator): Service {
  const { VAULT_TOKEN: token = "" } = environment;
  const client = foreign(["node-vault@0.12.0"])("node-vault")({ endpoint: url, token });
  const associated = Buffer.from(AAD).toString("base64");
  return {
    name: "vault transit",
    provider: (fetch) => vaultTransitKey({ address: url, token, key, fetch }),
    theirs: {
      name: "node-vault",
      async wrap() {
        const body = { plaintext: Buffer.from(DEK).toString("base64"), associated_data: associated };
        return Buffer.from((await client.write(`transit/encrypt/${key}`, body)).data.ciphertext);
      },
      async unwrap(wrapped) {
        const body = { ciphertext: Buffer.from(wrapped).toString(), associated_data: associated };
        return Buffer.from((await client.write(`transit/decrypt/${key}`, body)).data.plaintext, "base64");
      },
    },
  };
}

/** The contest over one `fetch`, with the service's client if it is given. */
function contestOver([transport, send]: Transport, { name, provider, theirs }: Service, withTheirs: boolean): Contest {
  const recorder = new Recorder(send);
  const ours = provider(recorder.fetch);
  const options = { keyContext: {}, wrapAad: () => AAD };
  const wrap = (): Promise<unknown> => ours.wrap(DEK, options);
  return {
    name: `wrap, ${name}`,
    async prove() {
      const recipient = await ours.wrap(DEK, options);
      deepStrictEqual(Buffer.from(await theirs.unwrap(recipient.wrapped)), Buffer.from(DEK), "the client opens what we wrapped");
      const wrapped = new Uint8Array(await theirs.wrap());
      deepStrictEqual(await ours.unwrap({ ...recipient, wrapped }, options), DEK, "we open what the client wrapped");
      await wrap(); // the last request, which is sent again barely
      await recorder.again();
    },
    baseline: { name: `bare ${transport} of the same bytes`, run: recorder.again },
    contestants: [
      { name: `envelock over ${transport}`, run: wrap },
      ...(withTheirs ? [{ name: theirs.name, run: () => theirs.wrap() }] : []),
    ],
  };
}

/** A `fetch` that keeps what it was asked last, to be sent again barely. */
class Recorder {
  readonly #send: Transport[1];
  #last: readonly [url: string, request: HttpFetchRequest] | undefined;

  constructor(send: Transport[1]) {
    this.#send = send;
  }

  readonly fetch: HttpFetch = async (url, request) => {
    this.#last = [url, request];
    return await this.#send(url, request);
  };

  /** Sends the last request again, and reads its answer. */
  readonly again = async (): Promise<unknown> => {
    if (this.#last === undefined) throw new Error("nothing was sent yet");
    const [url, request] = this.#last;
    const answer = await this.#send(url, { ...request, signal: new AbortController().signal });
    if (answer.status !== 200) throw new Error(`the bare fetch was answered ${answer.status}`);
    return await answer.text();
  };
}

function foreign(packages: readonly [string, ...string[]]): NodeJS.Require {
  return createRequire(join(installed("foreign", packages), "..", "package.json"));
}

type Transport = readonly [name: string, send: typeof globalThis.fetch | HttpsFetch];
const SERVICES: Readonly<Record<string, (emulator: Emulator) => Service>> = {
  "aws-kms-emulator": awsKms,
  "gcp-kms-emulator": gcpKms,
  "vault-emulator": vault,
};
const DEK = new Uint8Array(randomBytes(32));
const AAD = new Uint8Array(Buffer.from("envelock/bench"));
const REPETITIONS = 5;

const [, , command = "", line = "{}", caFile = ""] = process.argv;
const open = SERVICES[command];
if (open === undefined) throw new Error(`no such service: ${command}`);
const service = open(JSON.parse(line));
const rows = [
  ...(await runContest(contestOver(["fetch", globalThis.fetch], service, true), REPETITIONS)),
  ...(await runContest(contestOver(["httpsFetch", httpsFetch({ ca: readFileSync(caFile, "utf8") })], service, false), REPETITIONS)),
];
console.log(JSON.stringify(rows));
process.exit(); // the clients keep connections
