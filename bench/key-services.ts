import { deepStrictEqual } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { KeyProvider } from "envelock";
import { type HttpFetch, type HttpFetchRequest, httpsFetch } from "envelock/node";
import { awsKmsKey } from "envelock/providers/aws-kms";
import { gcpKmsKey } from "envelock/providers/gcp-kms";
import { vaultTransitKey } from "envelock/providers/vault";
import { installed } from "../test/support/npm-tools.ts";
import { type Contest, runContest, tableOf } from "./harness.ts";

/** A wrap through each provider and through the service's own client, against a bare `fetch` of the bytes that our provider sends. */
export async function keyServiceTable(): Promise<string> {
  const folder = mkdtempSync(join(import.meta.dirname, ".keys-"));
  const rows = [];
  try {
    for (const service of [awsKms, gcpKms, vault]) {
      const emulator = await started(service.command, folder);
      try {
        rows.push(...(await runContest(await service.contest(emulator), REPETITIONS)));
      } finally {
        emulator.process.kill("SIGTERM");
        await once(emulator.process, "exit");
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return tableOf(rows);
}

/** An emulator in a process of its own, so that its work is not in that of the contestants. */
interface Emulator {
  readonly process: ChildProcess;
  readonly url: string;
  readonly key: string;
  readonly ca: string;
  readonly environment: Readonly<Record<string, string>>;
}

async function started(command: string, folder: string): Promise<Emulator> {
  const caFile = join(folder, `${command}.pem`);
  const cli = join(import.meta.dirname, "../dist/cli.js");
  const args = [cli, "dev", command, "--key", "orders", "--ca-out", caFile, "--json"];
  if (command === "gcp-kms-emulator") args.push("--token-out", join(folder, "token"));
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(child.stdout), "line");
  const { url, keys, environment } = JSON.parse(`${line}`);
  return { process: child, url, key: keys[0], ca: readFileSync(caFile, "utf8"), environment };
}

/** A `fetch` that keeps what it was asked last, to be sent again barely. */
class Recorder {
  readonly #send: HttpFetch;
  #last: readonly [url: string, request: HttpFetchRequest] | undefined;

  constructor(ca: string) {
    this.#send = httpsFetch({ ca });
  }

  readonly fetch: HttpFetch = async (url, request) => {
    this.#last = [url, request];
    return await this.#send(url, request);
  };

  /** Sends the last request again, and reads its answer. */
  readonly again = async (): Promise<string> => {
    if (this.#last === undefined) throw new Error("nothing was sent yet");
    const [url, request] = this.#last;
    const { status, body } = await this.#send(url, { ...request, signal: new AbortController().signal });
    if (status !== 200) throw new Error(`the bare fetch was answered ${status}`);
    return await new Response(body).text();
  };
}

interface Service {
  readonly command: string;
  contest(emulator: Emulator): Promise<Contest>;
}

const awsKms: Service = {
  command: "aws-kms-emulator",
  async contest({ url, ca, key, environment }) {
    const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } = environment;
    const credentials = { accessKeyId, secretAccessKey };
    const load = foreign(["@aws-sdk/client-kms@3.1164.0", "@smithy/node-http-handler@4.14.2"]);
    const kms = load("@aws-sdk/client-kms");
    const { NodeHttpHandler } = load("@smithy/node-http-handler");
    const requestHandler = new NodeHttpHandler({ httpsAgent: new Agent({ ca, keepAlive: true }) });
    const client = new kms.KMSClient({ region: "eu-central-1", endpoint: url, credentials, maxAttempts: 1, requestHandler });
    const EncryptionContext = { "envelock:aad": createHash("sha256").update(AAD).digest("base64") };
    const recorder = new Recorder(ca);
    return contestOf("aws kms", awsKmsKey({ keyArn: key, credentials, endpoint: url, fetch: recorder.fetch }), recorder, {
      name: "@aws-sdk/client-kms",
      wrap: async () => (await client.send(new kms.EncryptCommand({ KeyId: key, Plaintext: DEK, EncryptionContext }))).CiphertextBlob,
      unwrap: async (wrapped) => (await client.send(new kms.DecryptCommand({ CiphertextBlob: wrapped, EncryptionContext }))).Plaintext,
    });
  },
};

const gcpKms: Service = {
  command: "gcp-kms-emulator",
  async contest({ url, ca, key, environment }) {
    const { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: tokenFile = "" } = environment;
    const token = readFileSync(tokenFile, "utf8").trim();
    const load = foreign(["@google-cloud/kms@5.7.0"]);
    const { KeyManagementServiceClient } = load("@google-cloud/kms");
    const { OAuth2Client } = load("google-auth-library");
    const authClient = new OAuth2Client();
    authClient.setCredentials({ access_token: token });
    Object.assign(process.env, { NODE_TLS_REJECT_UNAUTHORIZED: "0" }); // the client takes no authority; on loopback it may go without, as the others do not
    const { hostname, port } = new URL(url);
    const client = new KeyManagementServiceClient({
      fallback: true,
      protocol: "https",
      apiEndpoint: hostname,
      port: Number(port),
      authClient,
    });
    const additionalAuthenticatedData = createHash("sha512").update(AAD).digest();
    const recorder = new Recorder(ca);
    const provider = gcpKmsKey({ key, token: async () => ({ token }), endpoint: url, fetch: recorder.fetch });
    return contestOf("google cloud kms", provider, recorder, {
      name: "@google-cloud/kms",
      wrap: async () => (await client.encrypt({ name: key, plaintext: DEK, additionalAuthenticatedData }))[0].ciphertext,
      unwrap: async (ciphertext) => (await client.decrypt({ name: key, ciphertext, additionalAuthenticatedData }))[0].plaintext,
    });
  },
};

const vault: Service = {
  command: "vault-emulator",
  async contest({ url, ca, key, environment }) {
    const { VAULT_TOKEN: token = "" } = environment;
    const nodeVault = foreign(["node-vault@0.12.0"])("node-vault");
    const client = nodeVault({ endpoint: url, token, requestOptions: { ca, strictSSL: true } });
    const associated = Buffer.from(AAD).toString("base64");
    const recorder = new Recorder(ca);
    const provider = vaultTransitKey({ address: url, token, key, fetch: recorder.fetch });
    return contestOf("vault transit", provider, recorder, {
      name: "node-vault",
      async wrap() {
        const body = { plaintext: Buffer.from(DEK).toString("base64"), associated_data: associated };
        return Buffer.from((await client.write(`transit/encrypt/${key}`, body)).data.ciphertext);
      },
      async unwrap(wrapped) {
        const body = { ciphertext: Buffer.from(wrapped).toString(), associated_data: associated };
        return Buffer.from((await client.write(`transit/decrypt/${key}`, body)).data.plaintext, "base64");
      },
    });
  },
};

interface Foreign {
  readonly name: string;
  wrap(): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array): Promise<Uint8Array>;
}

function contestOf(name: string, provider: KeyProvider, recorder: Recorder, theirs: Foreign): Contest {
  const options = { keyContext: {}, wrapAad: () => AAD };
  const wrap = (): Promise<unknown> => provider.wrap(DEK, options);
  return {
    name: `wrap, ${name}`,
    async prove() {
      const ours = await provider.wrap(DEK, options);
      deepStrictEqual(Buffer.from(await theirs.unwrap(ours.wrapped)), Buffer.from(DEK), "the client opens what we wrapped");
      const wrapped = new Uint8Array(await theirs.wrap());
      deepStrictEqual(await provider.unwrap({ ...ours, wrapped }, options), DEK, "we open what the client wrapped");
      await wrap(); // the last request, which is sent again barely
      await recorder.again();
    },
    baseline: { name: "bare fetch of the same bytes", run: recorder.again },
    contestants: [
      { name: "envelock", run: wrap },
      { name: theirs.name, run: () => theirs.wrap() },
    ],
  };
}

function foreign(packages: readonly [string, ...string[]]): NodeJS.Require {
  return createRequire(join(installed("foreign", packages), "..", "package.json"));
}

const DEK = new Uint8Array(randomBytes(32));
const AAD = new Uint8Array(Buffer.from("envelock/bench"));
const REPETITIONS = 5;
