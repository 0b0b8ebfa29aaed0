import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import { type BlobStore, type EncryptedStore, encryptedStore } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { GcsEmulator } from "../../src/testing/gcs/index.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { noise } from "../support/arbitraries.ts";
import { startAzurite } from "../support/azurite.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { ROOT, type Run, run, scratch } from "./runner.ts";

// The verbs over blobs of a store, where they take files too.

interface Shop {
  readonly name: string;
  /** What names begin with in arguments. */
  readonly at: string;
  readonly env: Readonly<Record<string, string>>;
  open(): BlobStore;
}

const { at, read, write, names } = scratch();
const azurite = await startAzurite();
afterAll(() => azurite.close());
const container = await azurite.createContainer();
const { PATH = "" } = process.env;
const SHOPS: Shop[] = [
  {
    name: "Azure",
    at: `az://devstoreaccount1/${container}`,
    env: { PATH, AZURE_STORAGE_SAS_TOKEN: azurite.sas(container), AZURE_STORAGE_SERVICE_ENDPOINT: azurite.url },
    open: () => azureBlobs({ url: `${azurite.url}/${container}`, sas: azurite.sas(container) }),
  },
];
const s3 = await S3Emulator.start();
afterAll(() => s3.close());
s3.createBucket("blobs");
SHOPS.push({
  name: "S3",
  at: "s3://blobs",
  env: {
    PATH,
    AWS_REGION: s3.connection.region,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    ENVELOCK_S3_MODE: "aws",
  },
  open: () => s3Blobs({ url: `${s3.url}/blobs`, region: s3.connection.region, credentials: s3.credentials }, { mode: "aws" }),
});
const gcs = await GcsEmulator.start();
afterAll(() => gcs.close());
const place = { ...gcs.connection, bucket: gcs.createBucket("blobs") };
SHOPS.push({
  name: "Google Cloud Storage",
  at: "gs://blobs",
  env: {
    PATH,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${gcs.url}/storage/v1/`,
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: write("token", `${gcs.token}\n`),
  },
  open: () => gcsBlobs(place),
});
const [keys, newKeys] = [at("keys.json"), at("new.json")];
const KEY = ["--key", keys];

beforeAll(async () => {
  for (const file of [keys, newKeys]) expect((await run(["keygen", file])).exitCode).toBe(0);
});

describe.each(SHOPS)("blobs in $name", ({ at: root, env, open }) => {
  beforeAll(() => {
    for (const name of ["back", "part", "piped", "moved.envelock", "big"]) rmSync(at(name), { force: true });
  });

  const enter = async (...args: string[]): Promise<Run> => await run(args, undefined, { env, cwd: ROOT });
  const done = async (...args: string[]): Promise<string> => {
    const { exitCode, stderr, text } = await enter(...args);
    expect([exitCode, stderr]).toEqual([0, ""]);
    return text;
  };
  const failed = async (exitCode: 1 | 2, code: string, ...args: string[]): Promise<string> => {
    const result = await enter(...args);
    expect(result.stderr).toMatch(new RegExp(`^envelock: ${code}: `));
    expect(result.exitCode).toBe(exitCode);
    return result.stderr;
  };
  const stored = async (): Promise<EncryptedStore> =>
    encryptedStore(new Keyring({ wrapWith: keysetProviders(await readKeysetFile(keys)).slice(0, 1) }), open(), {
      context: (name) => ({ object: name }),
    });

  test("a file goes up, and comes back whole and in parts; the library opens it under its name", async () => {
    const plain = noise(20_000_000, 7);
    write("plain", plain);
    const blob = `${root}/one/7.bin`;
    expect(await done("encrypt", at("plain"), ...KEY, "--out", blob)).toBe(`encrypted  ${at("plain")} -> ${blob}\n`);
    await done("decrypt", blob, ...KEY, "--out", at("back"));
    expectSameBytes(read("back"), plain);
    await done("decrypt", blob, ...KEY, "--range", "10000000-10000999", "--out", at("part"));
    expectSameBytes(read("part"), plain.subarray(10_000_000, 10_001_000));
    const { stdout } = await enter("decrypt", blob, ...KEY, "--range", "-5");
    expectSameBytes(stdout, plain.subarray(-5));
    const opened = await (await stored()).get("one/7.bin");
    expect([await opened.size(), opened.description]).toEqual([plain.length, { name: "plain" }]);
    opened.close();
    expect(await failed(1, "invalid-argument", "decrypt", blob, ...KEY, "--range", "20000000-", "--out", at("none"))).toContain("hint:");
    expect(names()).not.toContain("none");
  });

  test("standard input goes up, and its blob comes out on standard output", async () => {
    const args = ["encrypt", ...KEY, "--out", `${root}/piped`, "--context", "tenant=acme"];
    expect((await run(args, noise(300_000), { env })).text).toMatch(/^encrypted {2}- -> /);
    const { stdout } = await enter("decrypt", `${root}/piped`, ...KEY, "--context", "tenant=acme");
    expectSameBytes(stdout, noise(300_000));
    await failed(1, "authentication-failed", "decrypt", `${root}/piped`, ...KEY, "--no-name-context", "--context", "tenant=acme");
    await done("decrypt", `${root}/piped`, ...KEY, "--context", "object=piped", "--context", "tenant=acme", "--out", at("piped"));
  });

  test("a name that is taken stays as it is, unless --force is given", async () => {
    const blob = `${root}/taken`;
    await done("encrypt", write("first", "first"), ...KEY, "--out", blob);
    expect(await failed(1, "invalid-argument", "encrypt", write("second", "second"), ...KEY, "--out", blob)).toContain(
      "--force replaces it",
    );
    expect((await enter("decrypt", blob, ...KEY)).text).toBe("first");
    await done("encrypt", at("second"), ...KEY, "--out", blob, "--force");
    expect((await enter("decrypt", blob, ...KEY)).text).toBe("second");
  });

  test("what fails to open leaves no file, and replaces none", async () => {
    const backing = open();
    const blob = await backing.open("one/7.bin", 10);
    if (blob === undefined) throw new Error("the blob is gone");
    const upload = await backing.create("broken", { metadata: {}, keys: [], condition: { always: true } });
    const pieces: Uint8Array[] = [];
    for await (const piece of blob.read(0, blob.size, { ifMatch: blob.etag })) pieces.push(piece);
    const whole = Buffer.concat(pieces);
    whole[15_000_000] = (whole[15_000_000] ?? 0) ^ 1;
    await upload.put(0, Uint8Array.from(whole.subarray(0, 8_388_608)));
    await upload.put(1, Uint8Array.from(whole.subarray(8_388_608, 16_777_216)));
    await upload.put(2, Uint8Array.from(whole.subarray(16_777_216)));
    await upload.commit({ always: true });
    const args = ["decrypt", `${root}/broken`, ...KEY, "--context", "object=one/7.bin"];
    await failed(1, "authentication-failed", ...args, "--out", at("whole"));
    write("kept", "kept");
    await failed(1, "authentication-failed", ...args, "--out", at("kept"), "--force");
    expect(new TextDecoder().decode(read("kept"))).toBe("kept");
    expect(names().filter((name) => name === "whole" || name.startsWith(".envelock"))).toEqual([]);
    const partly = await enter(...args);
    expect([partly.exitCode, partly.stderr]).toEqual([1, expect.stringContaining("a verified beginning, not the whole")]);
    await failed(1, "authentication-failed", "verify", `${root}/broken`, ...KEY, "--context", "object=one/7.bin", "--all");
    expect(await done("verify", `${root}/broken`, ...KEY, "--context", "object=one/7.bin")).toContain("20,000,000 bytes");
    await backing.delete("broken");
  });

  test("a source that breaks off commits nothing", async () => {
    const folder = at("folder");
    mkdirSync(folder, { recursive: true });
    await failed(1, "invalid-argument", "encrypt", folder, ...KEY, "--out", `${root}/never`);
    expect(await open().open("never", 1)).toBeUndefined();
  });

  test("a folder goes up, several at once, and comes back; a bad file does not end the batch", async () => {
    mkdirSync(at("tree/below"), { recursive: true });
    for (const name of ["a b", "ü.txt", "below/c#1", "below/d%20e", "below/star"]) write(`tree/${name}`, `content of ${name}`);
    const up = await done("encrypt", "--recursive", at("tree"), ...KEY, "--out", `${root}/up/`, "--parallel", "3");
    expect(up.split("\n").slice(0, 2)).toEqual([
      `encrypted  ${at("tree/a b")} -> ${root}/up/a b`,
      `encrypted  ${at("tree/below/c#1")} -> ${root}/up/below/c#1`,
    ]);
    expect(up).toMatch(/\n5 encrypted\n$/);
    await done("encrypt", at("plain"), ...KEY, "--out", `${root}/up/big`);
    const again = await enter("encrypt", "--recursive", at("tree"), ...KEY, "--out", `${root}/up/`);
    expect([again.exitCode, again.text]).toEqual([1, "5 failed\n"]);
    rmSync(at("down"), { recursive: true, force: true });
    mkdirSync(at("down"));
    expect(await done("decrypt", "--recursive", `${root}/up`, ...KEY, "--out", at("down"))).toMatch(/\n6 decrypted\n$/);
    for (const name of ["a b", "ü.txt", "below/c#1", "below/d%20e"])
      expect(new TextDecoder().decode(read(`down/${name}`))).toBe(`content of ${name}`);
    rmSync(at("some"), { recursive: true, force: true });
    mkdirSync(at("some"));
    expect(await done("decrypt", `${root}/up/*/?*`, ...KEY, "--out", at("some"))).toMatch(/\n3 decrypted\n$/);
    expect(names("some")).toEqual(["below"]);
    expect(await done("verify", `${root}/up/**`, ...KEY, "--json")).toContain('"plaintextBytes": 20000000');
    const strange = await enter("verify", "--recursive", `${root}/up/`, ...KEY, "--context", "object=x");
    expect([strange.exitCode, strange.text]).toEqual([1, "6 failed\n"]);
  });

  test("names that match wildcards can be written with a backslash", async () => {
    await done("encrypt", at("first"), ...KEY, "--out", `${root}/odd/a\\*b`);
    await done("encrypt", at("second"), ...KEY, "--out", `${root}/odd/aab`);
    expect((await enter("decrypt", `${root}/odd/a\\*b`, ...KEY)).text).toBe("first");
    expect(await done("verify", `${root}/odd/a*b`, ...KEY)).toMatch(/\n2 verified\n$/);
  });

  test("hidden names stand encrypted beside the blobs: ls shows them, and --real-names brings them back", async () => {
    await done("encrypt", "--recursive", at("tree"), ...KEY, "--out", `${root}/hidden/`, "--hide-names");
    const listed = await done("blobs", "list", `${root}/hidden/`);
    expect(listed).not.toContain("c#1");
    const shown = await done("ls", `${root}/hidden/`, ...KEY);
    for (const name of ["a b", "below/c#1"]) expect(shown).toContain(name);
    const entries = JSON.parse(await done("ls", `${root}/hidden/`, ...KEY, "--json"));
    expect(entries).toHaveLength(5);
    expect(entries[0]).toMatchObject({ name: expect.stringMatching(/^hidden\/[0-9a-f-]{36}$/), description: { name: expect.any(String) } });
    rmSync(at("real"), { recursive: true, force: true });
    mkdirSync(at("real"));
    await done("decrypt", "--recursive", `${root}/hidden/`, ...KEY, "--out", at("real"), "--real-names");
    expect(readdirSync(at("real"), { recursive: true }).map(String).sort()).toEqual(
      readdirSync(at("tree"), { recursive: true }).map(String).sort(),
    );
  });

  test("a name that leads out of the folder is refused", async () => {
    await (await stored()).put("evil/1", noise(10), { describe: { name: "../../out" } });
    rmSync(at("safe"), { recursive: true, force: true });
    mkdirSync(at("safe"));
    const { exitCode, stderr } = await enter("decrypt", `${root}/evil/*`, ...KEY, "--out", at("safe"), "--real-names");
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("invalid-argument")]);
    expect([names("safe"), names().includes("out")]).toEqual([[], false]);
  });

  test("rewrap exchanges headers in place, and says what is stale", async () => {
    const both = ["--key", newKeys, ...KEY];
    const before = await enter("rewrap", `${root}/up/*`, ...both, "--check");
    expect([before.exitCode, before.text.split("\n").at(-2)]).toEqual([1, "3 stale"]);
    expect(await done("rewrap", `${root}/up/*`, ...both)).toMatch(/\n3 rewrapped\n$/);
    expect(await done("rewrap", `${root}/up/a b`, ...both)).toBe(`current    ${root}/up/a b\n`);
    expect((await enter("decrypt", `${root}/up/a b`, "--key", newKeys)).text).toBe("content of a b");
    expect(JSON.parse(await done("inspect", `${root}/up/a b`, "--json"))).toMatchObject({ kind: "envelope", recipients: [{}] });
    await done("rewrap", `${root}/up/big`, ...both, "--out", at("moved.envelock"));
    await done("decrypt", at("moved.envelock"), "--key", newKeys, "--context", "object=up/big", "--out", at("big"));
    expectSameBytes(read("big"), read("plain"));
    expect(await done("blobs", "rewrap", `${root}/up/`, ...both)).toMatch(/^rewrapped +3\n/);
    expect(await done("blobs", "verify", `${root}/up/`, "--key", newKeys, "--all", "--json")).toContain('"plaintextBytes": 20000000');
  });

  test.each<readonly [string, readonly string[], string]>([
    ["plaintext into a store", ["decrypt", at("x.envelock"), "--out", "ROOT/x"], "envelock encrypt"],
    ["a prefix for one blob", ["decrypt", "ROOT/up/", "--out", "x"], "--out names a folder|make it first"],
    ["a prefix without --out's slash", ["encrypt", at("first"), at("second"), "--out", "ROOT/up"], "give it as"],
    ["wildcards in --out", ["encrypt", at("first"), "--out", "ROOT/*"], "a backslash"],
    ["standard input into a prefix", ["encrypt", "--out", "ROOT/up/"], "give the whole name"],
    ["lanes", ["encrypt", at("first"), "--out", "ROOT/l", "--lanes", "2"], "leave it out"],
    ["hidden names of files", ["encrypt", at("first"), "--out", "l", "--hide-names"], "a file's name"],
    ["real names of one", ["decrypt", "ROOT/taken", "--out", "l", "--real-names"], "--out names the file"],
    ["a container alone", ["rewrap", "ROOT", "--out", "l"], "each is rewrapped in place"],
  ])("%s: a wrong command line", async (_what, args, hint) => {
    const given = args.map((arg) => arg.replace("ROOT", root));
    expect(await failed(2, "invalid-argument", ...given, ...KEY)).toMatch(new RegExp(`hint: .*(${hint})`));
  });

  test("a blob that is not there, and what is no envelope, say what to do", async () => {
    expect(await failed(1, "invalid-argument", "decrypt", `${root}/nowhere`, ...KEY)).toContain("there is no blob nowhere");
    expect(await failed(1, "invalid-argument", "inspect", `${root}/nowhere`)).toContain("envelock blobs list");
    const upload = await open().create("text", { metadata: {}, keys: [] });
    await upload.put(0, new TextEncoder().encode("plain text"));
    await upload.commit({ always: true });
    expect(await failed(1, "malformed-envelope", "inspect", `${root}/text`)).toContain("it looks like text");
    expect(await failed(1, "malformed-envelope", "verify", `${root}/text`, ...KEY)).toContain("hint:");
    expect(await failed(1, "invalid-argument", "verify", `${root}/up/`, ...KEY)).toContain("--recursive takes the blobs below it");
  });
});

test("a kind of store that is not there is refused, with what was meant", async () => {
  const { exitCode, stderr } = await run(["decrypt", "azure://acme/files/y", ...KEY, "--out", at("x")], undefined, { env: { PATH } });
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining("did you mean az://?")]);
  const nothing = await run(["inspect", "az://acme/files/y"], undefined, { env: { PATH } });
  expect([nothing.exitCode, nothing.stderr]).toEqual([1, expect.stringContaining("AZURE_STORAGE_AUTH_MODE=login")]);
});

test("an endpoint of S3 must say which service it is, and a region is needed", async () => {
  const env = { PATH, AWS_ENDPOINT_URL: s3.url, AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE", AWS_SECRET_ACCESS_KEY: "wrong" };
  const nowhere = await run(["inspect", "s3://blobs/x"], undefined, { env });
  expect([nowhere.exitCode, nowhere.stderr]).toEqual([2, expect.stringContaining("AWS_REGION")]);
  const unknown = await run(["inspect", "s3://blobs/x"], undefined, { env: { ...env, AWS_DEFAULT_REGION: "us-east-1" } });
  expect([unknown.exitCode, unknown.stderr]).toEqual([2, expect.stringContaining("--s3-mode is aws, r2 or minio")]);
  const refused = await run(["inspect", "s3://blobs/x", "--s3-mode", "aws"], undefined, {
    env: { ...env, AWS_REGION: s3.connection.region },
  });
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("access-denied")]);
});

test("credentials of S3 that end come from a container, once for all requests", async () => {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = s3.issueCredentials({ lifeSeconds: 3600 });
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    const lasting = { Token: sessionToken, Expiration: expiration?.toISOString() };
    response.end(JSON.stringify({ AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, ...lasting }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    const uri = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/role`;
    const place = { AWS_REGION: s3.connection.region, AWS_ENDPOINT_URL_S3: s3.url, ENVELOCK_S3_MODE: "aws" };
    const env = { PATH, ...place, AWS_CONTAINER_CREDENTIALS_FULL_URI: uri };
    const { exitCode, stderr } = await run(["encrypt", write("by-container", "x"), ...KEY, "--out", "s3://blobs/by-container"], undefined, {
      env,
    });
    expect([exitCode, stderr, asked]).toEqual([0, "", 1]);
    expect((await run(["decrypt", "s3://blobs/by-container", ...KEY], undefined, { env })).text).toBe("x");
  } finally {
    server.close();
  }
});

test("s3:// refuses each setting of the environment that asks for another endpoint than it calls", async () => {
  const env = { PATH, AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_S3: s3.url, ENVELOCK_S3_MODE: "aws" };
  s3.takeRequests();
  const settings: Readonly<Record<string, string>> = {
    AWS_USE_FIPS_ENDPOINT: "true",
    AWS_USE_DUALSTACK_ENDPOINT: "TRUE",
    AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "yes",
    AWS_S3_US_EAST_1_REGIONAL_ENDPOINT: "legacy",
    AWS_STS_REGIONAL_ENDPOINTS: "legacy",
    AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: "IPv5",
  };
  for (const [name, value] of Object.entries(settings)) {
    const needed = name.startsWith("AWS_STS") ? { AWS_ROLE_ARN: "arn:aws:iam::111122223333:role/x", AWS_WEB_IDENTITY_TOKEN_FILE: "x" } : {};
    const { exitCode, stderr } = await run(["inspect", "s3://blobs/x"], undefined, { env: { ...env, ...needed, [name]: value } });
    expect([name, exitCode, stderr]).toEqual([name, 2, expect.stringContaining(name)]);
  }
  const byProfile = await run(["inspect", "s3://blobs/x"], undefined, { env: { ...env, AWS_PROFILE: "production" } });
  expect([byProfile.exitCode, byProfile.stderr]).toEqual([1, expect.stringContaining("AWS_PROFILE")]);
  expect(s3.takeRequests()).toEqual([]);
});

test("S3 over HTTPS with an authority of its own, named in AWS_CA_BUNDLE", async () => {
  await using secure = await S3Emulator.start({ https: true });
  secure.createBucket("blobs");
  const { accessKeyId, secretAccessKey } = secure.credentials;
  const place = { AWS_REGION: secure.connection.region, AWS_ENDPOINT_URL_S3: secure.url, ENVELOCK_S3_MODE: "aws" };
  const env = { PATH, ...place, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const trusting = { ...env, AWS_CA_BUNDLE: write("ca.pem", secure.ca) };
  const sealed = await run(["encrypt", write("secure", "x"), ...KEY, "--out", "s3://blobs/secure"], undefined, { env: trusting });
  expect([sealed.exitCode, sealed.stderr]).toEqual([0, ""]);
  expect((await run(["decrypt", "s3://blobs/secure", ...KEY], undefined, { env: trusting })).text).toBe("x");
  expect((await run(["decrypt", "s3://blobs/secure", ...KEY], undefined, { env })).exitCode).toBe(1);
});

test("Azure with an identity: each request has its token, and no SAS", async () => {
  const emulator = await AzureEmulator.start();
  const seen: string[] = [];
  const gate = createServer((request, response) => {
    seen.push(request.headers.authorization ?? "");
    const { authorization: _, host: __, ...headers } = request.headers;
    const query = request.url?.includes("?") === true ? "&" : "?";
    const body: Buffer[] = [];
    request.on("data", (piece: Buffer) => body.push(piece));
    request.on("end", async () => {
      const answer = await fetch(`${new URL(azurite.url).origin}${request.url}${query}${azurite.sas(container)}`, {
        method: request.method ?? "GET",
        headers: Object.fromEntries(
          Object.entries(headers).flatMap(([name, value]) => (typeof value === "string" && name !== "connection" ? [[name, value]] : [])),
        ),
        ...(body.length > 0 && { body: Buffer.concat(body) }),
      });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
  });
  await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
  try {
    const address = gate.address();
    const env = {
      PATH,
      AZURE_POD_IDENTITY_AUTHORITY_HOST: await emulator.serveManagedIdentity(),
      AZURE_STORAGE_SERVICE_ENDPOINT: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/devstoreaccount1`,
    };
    const login = ["--credential", "managed-identity"];
    const blob = `az://devstoreaccount1/${container}/by-identity`;
    const up = await run(["encrypt", at("first"), ...KEY, "--out", blob, ...login], undefined, { env });
    expect([up.exitCode, up.stderr]).toEqual([0, ""]);
    expect((await run(["decrypt", blob, ...KEY, ...login], undefined, { env })).text).toBe("first");
    expect(seen.length).toBeGreaterThan(3);
    for (const header of seen) expect(header).toMatch(/^Bearer .+/);
  } finally {
    gate.close();
    await emulator.close();
  }
});

describe("gs://", () => {
  const GOOGLE = { PATH, STORAGE_EMULATOR_HOST: gcs.host, METADATA_SERVER_DETECTION: "none" };

  test("without credentials is access-denied, with what to do", async () => {
    const { exitCode, stderr } = await run(["inspect", "gs://blobs/x"], undefined, { env: GOOGLE });
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("there are no credentials for Google Cloud")]);
  });

  test("takes the endpoint as an option too, and refuses one that is not safe", async () => {
    const env = { ...GOOGLE, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: at("token"), STORAGE_EMULATOR_HOST: "127.0.0.1:1" };
    const there = ["inspect", "gs://blobs/nothing", "--endpoint", gcs.url];
    expect((await run(there, undefined, { env })).stderr).toContain("there is no blob nothing");
    const unsafe = await run(["inspect", "gs://blobs/x", "--endpoint", "http://storage.example.com"], undefined, { env });
    expect([unsafe.exitCode, unsafe.stderr]).toEqual([1, expect.stringContaining("by https")]);
  });

  test("trusts the authority that gcloud's variable names, for small blobs and for large ones", async () => {
    await using secure = await GcsEmulator.start({ https: true });
    secure.createBucket("blobs");
    const env = {
      ...GOOGLE,
      STORAGE_EMULATOR_HOST: secure.url,
      CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: write("secure-token", secure.token),
      CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: write("ca.pem", secure.ca),
    };
    for (const bytes of [noise(100), noise(9_000_000)]) {
      const blob = `gs://blobs/${bytes.length}`;
      expect((await run(["encrypt", write("plain", bytes), ...KEY, "--out", blob], undefined, { env })).stderr).toBe("");
      expect((await run(["decrypt", blob, ...KEY, "--out", at(`back-${bytes.length}`)], undefined, { env })).stderr).toBe("");
      expectSameBytes(read(`back-${bytes.length}`), bytes);
    }
  });

  test.each(["gs://", "gs://Blobs/x", "gs://a/x", "gcs://blobs/x"])("%s names no blob there", async (argument) => {
    const { exitCode, stderr } = await run(["inspect", argument], undefined, { env: GOOGLE });
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(/gs:\/\//)]);
  });
});
