import { generateKeyPairSync } from "node:crypto";
import type { Socket } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import {
  assumeRole,
  awsKmsDecrypter,
  awsKmsKey,
  awsKmsRandom,
  containerCredentials,
  instanceCredentials,
  webIdentity,
} from "../../providers/aws-kms/index.ts";
import { azureKey } from "../../providers/azure/index.ts";
import { gcpKmsKey, gcpKmsRandom, impersonated, metadataServer, serviceAccountKey } from "../../providers/gcp-kms/index.ts";
import { appRole, kubernetesLogin, vaultRandom, vaultTransitKey } from "../../providers/vault/index.ts";
import type { HttpFetch } from "../../src/core/base/http-fetch.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { httpsFetch } from "../../src/node/index.ts";
import { noise } from "../support/arbitraries.ts";
import { deferred } from "../support/deferred.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { ANSWERS, type Begins, BODIES, type Fault, LATE } from "../support/hostile-answers.ts";
import { closed, RawServer, type Reply } from "../support/raw-server.ts";
import { refusal } from "../support/refusal.ts";

// What no service sends, to every kind of request that the key services get. Each ends in a typed error, at its deadline at the latest, and
// costs no memory: over the global `fetch` and `httpsFetch` alike.

const clock = fakeClock();
const plain = await RawServer.start({ tls: false });
const secure = await RawServer.start({ tls: true });
afterAll(async () => {
  await Promise.all([plain.close(), secure.close()]);
});

const DEK = noise(32, "hostile");
const SECRET = "s3cr3t-of-the-caller";
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array(1) };
const ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLE = "arn:aws:iam::111122223333:role/orders";
const CREDENTIALS = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: SECRET };
const NAME = "projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders";
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const KEY_FILE = JSON.stringify({
  type: "service_account",
  client_email: "orders@acme.iam.gserviceaccount.com",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
});

/** A request of each kind, by its name. @param fetch reaches the hostile server, whatever the host of the request */
type Requests = Readonly<Record<string, (fetch: HttpFetch) => Promise<unknown>>>;

const common = (fetch: HttpFetch) => ({ fetch, clock });
const aws = (fetch: HttpFetch, credentials: Parameters<typeof awsKmsKey>[0]["credentials"] = CREDENTIALS): Required<KeyProvider> =>
  awsKmsKey({ ...common(fetch), keyArn: ARN, credentials });
const gcp = (fetch: HttpFetch, token: Parameters<typeof gcpKmsKey>[0]["token"] = async () => ({ token: SECRET })): Required<KeyProvider> =>
  gcpKmsKey({ ...common(fetch), key: NAME, token });
const vault = (fetch: HttpFetch, token: Parameters<typeof vaultTransitKey>[0]["token"] = SECRET): Required<KeyProvider> =>
  vaultTransitKey({ ...common(fetch), address: "https://vault.example:8200", key: "orders", token });
const recipient = (provider: string, keyId: string, wrapped: Uint8Array): Recipient => ({ provider, keyId, alg: 9, wrapped });

const REQUESTS: Requests = {
  "AWS Encrypt": (fetch) => aws(fetch).wrap(DEK, OPTIONS),
  "AWS Decrypt": (fetch) => aws(fetch).unwrap(recipient("aws-kms", ARN, noise(180, "wrapped")), OPTIONS),
  "AWS DescribeKey": (fetch) => aws(fetch).current(),
  "AWS Decrypt for other formats": (fetch) =>
    awsKmsDecrypter({ ...common(fetch), keyArn: ARN, credentials: CREDENTIALS })(noise(180, "wrapped"), {}),
  "AWS GenerateRandom": (fetch) => awsKmsRandom({ ...common(fetch), region: "eu-central-1", credentials: CREDENTIALS }).randomBytes(32),
  "AWS AssumeRole": (fetch) => aws(fetch, assumeRole({ roleArn: ROLE, source: CREDENTIALS })).current(),
  "AWS AssumeRoleWithWebIdentity": (fetch) => aws(fetch, webIdentity({ roleArn: ROLE, token: async () => SECRET })).current(),
  "AWS instance": (fetch) => aws(fetch, instanceCredentials()).current(),
  "AWS container": (fetch) => aws(fetch, containerCredentials({ uri: "/v2/credentials", authorization: async () => SECRET })).current(),
  "Google encrypt": (fetch) => gcp(fetch).wrap(DEK, OPTIONS),
  "Google decrypt": (fetch) => gcp(fetch).unwrap(recipient("gcp-kms", `${NAME}/cryptoKeyVersions/1`, noise(120, "wrapped")), OPTIONS),
  "Google key": (fetch) => gcp(fetch).current(),
  "Google public key": (fetch) =>
    gcpKmsKey({ ...common(fetch), key: NAME, keyType: "rsa", version: 1, token: async () => ({ token: SECRET }) }).wrap(DEK, OPTIONS),
  "Google random": (fetch) =>
    gcpKmsRandom({
      ...common(fetch),
      location: "projects/acme/locations/europe-west3",
      token: async () => ({ token: SECRET }),
    }).randomBytes(32),
  "Google metadata server": (fetch) => gcp(fetch, metadataServer()).current(),
  "Google token endpoint": (fetch) => gcp(fetch, serviceAccountKey({ keyFile: KEY_FILE })).current(),
  "Google impersonation": (fetch) =>
    gcp(fetch, impersonated({ source: async () => ({ token: SECRET }), serviceAccount: "t@acme.iam.gserviceaccount.com" })).current(),
  "Vault encrypt": (fetch) => vault(fetch).wrap(DEK, OPTIONS),
  "Vault decrypt": (fetch) =>
    vault(fetch).unwrap(recipient("vault-transit", "https://vault.example:8200/transit/orders#1", Buffer.from("vault:v1:QUJD")), OPTIONS),
  "Vault key": (fetch) => vault(fetch).current(),
  "Vault random": (fetch) => vaultRandom({ ...common(fetch), address: "https://vault.example:8200", token: SECRET }).randomBytes(32),
  "Vault AppRole": (fetch) => vault(fetch, appRole({ roleId: "r", secretId: SECRET })).current(),
  "Vault Kubernetes": (fetch) => vault(fetch, kubernetesLogin({ role: "orders", jwt: async () => SECRET })).current(),
};

/** Those that differ in what sends them: answers that nobody reads meet all others alike. */
const SOME_REQUESTS = Object.entries(REQUESTS).filter(([name]) =>
  /crypt$|AssumeRole$|instance|token endpoint|metadata|AppRole|Kubernetes/.test(name),
);

const TRANSPORTS: readonly (readonly [string, RawServer, HttpFetch])[] = [
  ["fetch", plain, globalThis.fetch],
  ["httpsFetch", secure, httpsFetch({ ca: secure.ca })],
];

/** Sends every request to the server. */
const through =
  ({ origin }: RawServer, send: HttpFetch): HttpFetch =>
  (url, request) =>
    send(origin + url.slice(new URL(url).origin.length), request);

const CHUNKED_HEAD = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const GOOD = JSON.stringify({ KeyMetadata: { Arn: ARN } });
/** Answers to DescribeKey that are unusual, and good. */
const ODD: readonly (readonly [string, string])[] = [
  ["one with an announcement before it", `HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n${wholeAnswer(GOOD)}`],
  ["one without a content type", wholeAnswer(GOOD)],
  ["one of a content type in capitals, with a charset", wholeAnswer(GOOD, "Content-Type: TEXT/PLAIN; Charset=UTF-8\r\n")],
  ["one in single bytes", `${CHUNKED_HEAD}${[...GOOD].map((letter) => `1\r\n${letter}\r\n`).join("")}0\r\n\r\n`],
  ["one with extensions of its chunks and a trailer", `${CHUNKED_HEAD}${GOOD.length.toString(16)};a=b\r\n${GOOD}\r\n0\r\nx: 1\r\n\r\n`],
  ["one with a mark of its byte order", wholeAnswer(`\ufeff${GOOD}`)],
  ["one whose last member of a name is right", wholeAnswer(`{"KeyMetadata":{"Arn":"arn:other"},${GOOD.slice(1)}`)],
  ["one with members that are not known", wholeAnswer(`{"__proto__":{"Arn":"x"},"New":[1],${GOOD.slice(1)}`)],
  ["one with white space around it", wholeAnswer(`\r\n ${GOOD}\n`)],
];

/** The requests of the Azure provider, by its SDK, before and after the challenge. */
const AZURE: Requests = {
  "Azure wrap": () => azure().wrap(DEK, OPTIONS),
  "Azure unwrap": () =>
    azure().unwrap(
      { provider: "azure-key-vault", keyId: `${secure.origin}/keys/orders/${"a".repeat(32)}`, alg: 3, wrapped: noise(256, "wrapped") },
      OPTIONS,
    ),
  "Azure key": () => azure().current(),
};
const azure = (): Required<KeyProvider> =>
  azureKey({
    keyUrl: `${secure.origin}/keys/orders`,
    allowedHosts: [new URL(secure.origin).host],
    tokenResource: "https://vault.azure.net",
    credential: { getToken: async () => ({ token: SECRET, expiresOnTimestamp: clock.unixMs() + 3_600_000 }) },
    client: { tlsOptions: { ca: secure.ca } },
    clock,
  });

interface Expected {
  readonly code: string | RegExp;
  readonly detail?: string;
  readonly retryable?: boolean;
}
const EXPECTED: Readonly<Record<Fault, Expected>> = {
  "broken-off": { code: "unavailable", detail: "connection", retryable: true },
  unreadable: { code: "provider-failure", detail: "transport", retryable: true },
};
const REFUSED: Expected = { code: /^(?:provider-failure|unavailable|unwrap-rejected|access-denied)$/ };

describe.each(TRANSPORTS)("over %s", (_name, server, send) => {
  const fetch = through(server, send);

  test.each(ANSWERS)("%s", async (_what, fault, reply) => {
    server.reply = reply;
    for (const [name, request] of SOME_REQUESTS) await expectRefusal(name, () => request(fetch), EXPECTED[fault]);
    expect(server.mostWritten).toBeLessThan(MOST_BYTES);
  });

  test.each(BODIES)("%s", async (what, bytes) => {
    server.reply = (socket) => socket.write(bytes);
    const expected = /^[23]\d\d$|page|no body/.test(what) ? { code: "provider-failure" } : REFUSED; // nobody has denied anything
    for (const [name, request] of Object.entries(REQUESTS)) await expectRefusal(name, () => request(fetch), expected);
  });

  test.each(ODD)("%s is an answer all the same", async (_what, bytes) => {
    server.reply = (socket) => socket.write(bytes);
    expect(await aws(fetch).current()).toBe(ARN);
    expect(await aws(fetch).current(), "on the same connection").toBe(ARN);
  });

  test.each(LATE)("an answer that %s ends at its deadline, and its connection with it", async (_what, reply) => {
    for (const [name, request] of Object.entries(REQUESTS)) await expectTimeout(name, server, reply, () => request(fetch));
  });
});

describe.each([
  ["before its challenge", false],
  ["after it", true],
])("Azure, by its SDK, %s", (_when, isChallenged) => {
  const challenged =
    (reply: Reply): Reply =>
    (socket, head) =>
      isChallenged && !/\r\nauthorization:/i.test(head) ? socket.write(CHALLENGE) : reply(socket, head);

  test.each(ANSWERS)("%s", async (_what, fault, reply) => {
    secure.reply = challenged(reply);
    // the SDK says of some answers that are no HTTP only that they broke off
    const code = fault === "unreadable" ? /^(?:provider-failure|unavailable)$/ : EXPECTED[fault].code;
    for (const [name, request] of Object.entries(AZURE)) await expectRefusal(name, () => request(globalThis.fetch), { code });
  });

  test.each(BODIES)("%s", async (_what, bytes) => {
    secure.reply = challenged((socket) => socket.write(bytes));
    for (const [name, request] of Object.entries(AZURE)) await expectRefusal(name, () => request(globalThis.fetch), REFUSED);
  });

  test.each(LATE)("an answer that %s ends at its deadline", async (_what, reply) => {
    for (const [name, request] of Object.entries(AZURE)) {
      await expectTimeout(name, secure, reply, () => request(globalThis.fetch), challenged);
    }
  });
});

async function expectRefusal(name: string, request: () => Promise<unknown>, { code, ...expected }: Expected): Promise<void> {
  const error = await refusal(request);
  expect(error.code, `${name}: ${error.message}`).toMatch(typeof code === "string" ? new RegExp(`^${code}$`) : code);
  expect(error, name).toMatchObject(expected);
  for (const hidden of [SECRET, "QUOTED", Buffer.from(DEK).toString("base64")])
    expect(`${error.message}${error.stack}${JSON.stringify(error)}${JSON.stringify(error.cause)}`, name).not.toContain(hidden);
  expect(clock.timers, name).toBe(0);
}

async function expectTimeout(
  name: string,
  server: RawServer,
  begin: Begins,
  request: () => Promise<unknown>,
  around: (reply: Reply) => Reply = (reply) => reply,
): Promise<void> {
  const begun = deferred();
  let connection: Socket | undefined;
  server.reply = around((socket) => {
    connection = socket;
    begin(socket, begun.resolve);
  });
  const outcome = expectRefusal(name, request, { code: "timeout", retryable: true });
  await begun.promise;
  clock.advanceNow(10_000);
  await outcome;
  await closed(connection);
}

function wholeAnswer(text: string, more = ""): string {
  return `HTTP/1.1 200 OK\r\n${more}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

const CHALLENGE = [
  "HTTP/1.1 401 Unauthorized",
  'www-authenticate: Bearer authorization="https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555", resource="https://vault.azure.net"',
  "content-length: 0",
  "\r\n",
].join("\r\n");
/** What the kernel and the client take of an answer without end before the connection is closed. */
const MOST_BYTES = 16_000_000;
