import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { awsKmsKey } from "../../../providers/aws-kms/index.ts";
import { systemClock } from "../../../src/core/base/clock.ts";
import { signedHeaders } from "../../../src/core/base/sigv4.ts";
import type { WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { FAULT_NAMES } from "../../../src/testing/aws-kms-emulator/faults.ts";
import { AwsKmsEmulator } from "../../../src/testing/aws-kms-emulator/index.ts";
import { OPERATIONS } from "../../../src/testing/aws-kms-emulator/operations.ts";
import { noise } from "../../support/arbitraries.ts";
import { fileOfPackages } from "../../support/debian-packages.ts";
import { installed } from "../../support/npm-tools.ts";

// Clients that others wrote for the real service, in two languages: what they do here they do there.

const folder = mkdtempSync(join(tmpdir(), "envelock-aws-"));
const emulator = await AwsKmsEmulator.start();
afterAll(async () => {
  await emulator.close();
  rmSync(folder, { recursive: true });
});
const CA = join(folder, "ca.pem");
writeFileSync(CA, emulator.ca);
const DEK = noise(32, "foreign");
const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: () => new Uint8Array(0) };
/** What our provider makes of OPTIONS: SHA-256 of nothing. */
const CONTEXT = { tenant: "acme", "envelock:aad": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
const KEY_ARN = emulator.createKey();
const RSA_ARN = emulator.createKey({ spec: "RSA_2048" });

describe("@aws-sdk/client-kms", () => {
  const modules = installed("foreign", ["@aws-sdk/client-kms@3.1164.0", "@smithy/node-http-handler@4.14.2"]);
  const load = createRequire(join(modules, "..", "package.json"));
  const kms = load("@aws-sdk/client-kms");
  const { NodeHttpHandler } = load("@smithy/node-http-handler");
  const client = new kms.KMSClient({
    region: "eu-central-1",
    endpoint: emulator.url,
    credentials: emulator.credentials,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: emulator.ca }) }),
  });
  afterAll(() => client.destroy());

  test("wraps what we open, and opens what we wrap, under the same context", async () => {
    const theirs = await client.send(new kms.EncryptCommand({ KeyId: KEY_ARN, Plaintext: DEK, EncryptionContext: CONTEXT }));
    const recipient = { provider: "aws-kms", keyId: theirs.KeyId, alg: 9, wrapped: new Uint8Array(theirs.CiphertextBlob) };
    expect(await key().unwrap(recipient, OPTIONS)).toEqual(DEK);
    const ours = await key().wrap(DEK, OPTIONS);
    const opened = await client.send(new kms.DecryptCommand({ CiphertextBlob: ours.wrapped, EncryptionContext: CONTEXT }));
    expect(new Uint8Array(opened.Plaintext)).toEqual(DEK);
    expect(opened.KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    const wrong = { CiphertextBlob: ours.wrapped, EncryptionContext: { ...CONTEXT, tenant: "other" } };
    await expect(client.send(new kms.DecryptCommand(wrong))).rejects.toMatchObject({ name: "InvalidCiphertextException" });
  });

  test("RSA keys", async () => {
    const algorithm = { EncryptionAlgorithm: "RSAES_OAEP_SHA_256", KeyId: RSA_ARN };
    const theirs = await client.send(new kms.EncryptCommand({ ...algorithm, Plaintext: DEK }));
    const wrapped = new Uint8Array(theirs.CiphertextBlob);
    expect(await rsaKey().unwrap({ provider: "aws-kms", keyId: RSA_ARN, alg: 3, wrapped }, OPTIONS)).toEqual(DEK);
    const ours = await rsaKey().wrap(DEK, OPTIONS);
    const opened = await client.send(new kms.DecryptCommand({ ...algorithm, CiphertextBlob: ours.wrapped }));
    expect(new Uint8Array(opened.Plaintext)).toEqual(DEK);
    expect((await client.send(new kms.GetPublicKeyCommand({ KeyId: RSA_ARN }))).KeySpec).toBe("RSA_2048");
  });

  test("dry runs say what would be, and do nothing", async () => {
    const more = { KeyId: KEY_ARN, DryRun: true };
    const { CiphertextBlob } = await client.send(new kms.EncryptCommand({ KeyId: KEY_ARN, Plaintext: DEK }));
    for (const command of [
      new kms.EncryptCommand({ ...more, Plaintext: DEK }),
      new kms.DecryptCommand({ ...more, CiphertextBlob }),
      new kms.DecryptCommand({ ...more, DryRunModifiers: ["IGNORE_CIPHERTEXT"] }),
      new kms.GenerateDataKeyCommand({ ...more, KeySpec: "AES_256" }),
      new kms.ReEncryptCommand({ CiphertextBlob, DestinationKeyId: KEY_ARN, DryRun: true }),
    ]) {
      await expect(client.send(command), command.constructor.name).rejects.toMatchObject({ name: "DryRunOperationException" });
    }
    const missing = { ...more, KeyId: KEY_ARN.replace(/key\/.*/, "key/00000000-0000-4000-8000-000000000000") };
    await expect(client.send(new kms.EncryptCommand({ ...missing, Plaintext: DEK }))).rejects.toMatchObject({ name: "NotFoundException" });
    const changed = { ...more, CiphertextBlob: CiphertextBlob.map((byte: number) => byte ^ 1) };
    await expect(client.send(new kms.DecryptCommand(changed))).rejects.toMatchObject({ name: "InvalidCiphertextException" });
  });

  test("every operation of the emulator and every error that it knows are of the model that the package carries", () => {
    for (const name of Object.keys(OPERATIONS)) expect(kms, name).toHaveProperty(`${name}Command`);
    const modelled = FAULT_NAMES.filter((name) => name.endsWith("Exception") && !OF_ALL_SERVICES.has(name));
    expect(modelled.length).toBeGreaterThan(20);
    for (const name of modelled) expect(kms, name).toHaveProperty(name);
  });

  test("every member of an answer is one of the model", async () => {
    const KeyId = emulator.createKey({ multiRegion: true });
    const { CiphertextBlob } = await client.send(new kms.EncryptCommand({ KeyId, Plaintext: DEK }));
    emulator.rotate(KeyId);
    const requests: Readonly<Record<string, object>> = {
      Encrypt: { KeyId, Plaintext: Buffer.from(DEK).toString("base64") },
      Decrypt: { CiphertextBlob: Buffer.from(CiphertextBlob).toString("base64") },
      ReEncrypt: { CiphertextBlob: Buffer.from(CiphertextBlob).toString("base64"), DestinationKeyId: KeyId },
      GenerateDataKey: { KeyId },
      GenerateDataKeyWithoutPlaintext: { KeyId },
      GenerateRandom: { NumberOfBytes: 1 },
      DescribeKey: { KeyId },
      GetPublicKey: { KeyId: RSA_ARN },
      CreateKey: {},
      ListKeys: {},
      ListAliases: {},
      GetKeyPolicy: { KeyId },
      GetKeyRotationStatus: { KeyId },
      ListKeyRotations: { KeyId },
      RotateKeyOnDemand: { KeyId },
      ScheduleKeyDeletion: { KeyId },
      CancelKeyDeletion: { KeyId },
    };
    for (const [name, request] of Object.entries(requests)) {
      const answer = await bareAnswer(name, request);
      const [, , , , members] = kms[`${name}Response$`];
      expect(members, name).toEqual(expect.arrayContaining(Object.keys(answer)));
    }
    const [, , , , metadata] = kms.KeyMetadata$;
    expect(metadata).toEqual(expect.arrayContaining(Object.keys((await bareAnswer("DescribeKey", { KeyId })).KeyMetadata ?? {})));
  });

  test("rotations, re-encryption, aliases and errors", async () => {
    const made = await client.send(new kms.CreateKeyCommand({}));
    const KeyId = made.KeyMetadata.Arn;
    await client.send(new kms.CreateAliasCommand({ AliasName: "alias/orders", TargetKeyId: KeyId }));
    const first = await client.send(new kms.GenerateDataKeyCommand({ KeyId: "alias/orders", KeySpec: "AES_256" }));
    expect(first.KeyId).toBe(KeyId);
    await client.send(new kms.RotateKeyOnDemandCommand({ KeyId }));
    const { Rotations } = await client.send(new kms.ListKeyRotationsCommand({ KeyId }));
    const again = await client.send(new kms.ReEncryptCommand({ CiphertextBlob: first.CiphertextBlob, DestinationKeyId: KeyId }));
    expect(again.DestinationKeyMaterialId).toBe(Rotations[0].KeyMaterialId);
    expect(again.SourceKeyMaterialId).toBe(first.KeyMaterialId);
    const opened = await client.send(new kms.DecryptCommand({ CiphertextBlob: again.CiphertextBlob }));
    expect(opened.Plaintext).toEqual(first.Plaintext);
    const foreign = new kms.DecryptCommand({ CiphertextBlob: again.CiphertextBlob, KeyId: KEY_ARN });
    await expect(client.send(foreign)).rejects.toMatchObject({ name: "IncorrectKeyException" });
    await client.send(new kms.DisableKeyCommand({ KeyId }));
    await expect(client.send(new kms.EncryptCommand({ KeyId, Plaintext: DEK }))).rejects.toMatchObject({ name: "DisabledException" });
    await client.send(new kms.ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    await expect(client.send(new kms.EncryptCommand({ KeyId, Plaintext: DEK }))).rejects.toMatchObject({
      name: "KMSInvalidStateException",
    });
    await client.send(new kms.CancelKeyDeletionCommand({ KeyId }));
    expect((await client.send(new kms.DescribeKeyCommand({ KeyId }))).KeyMetadata.KeyState).toBe("Disabled");
  });
});

test("boto3: context, errors, roles, and both ways", async () => {
  fileOfPackages(["/usr/lib/python3/dist-packages/boto3/__init__.py"], ["python3-boto3"]);
  const script = join(folder, "client.py");
  writeFileSync(script, PYTHON);
  const roleArn = "arn:aws:iam::111122223333:role/orders";
  emulator.addRole(roleArn, { externalId: "acme-7" });
  const ours = await key().wrap(DEK, OPTIONS);
  const { stdout } = await promisify(execFile)("/usr/bin/python3", [script], {
    env: {
      URL: emulator.url,
      CA,
      AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
      AWS_DEFAULT_REGION: "eu-central-1",
      AWS_EC2_METADATA_DISABLED: "true",
      KEY: KEY_ARN,
      ROLE: roleArn,
      CONTEXT: JSON.stringify(CONTEXT),
      OURS: Buffer.from(ours.wrapped).toString("base64"),
    },
  });
  const answer: { readonly theirs: string } = JSON.parse(stdout);
  expect(answer).toMatchObject({
    ours: Buffer.from(DEK).toString("base64"),
    shifted: "InvalidCiphertextException",
    missing: "NotFoundException",
    region: "NotFoundException",
    signature: "InvalidSignatureException",
    unknown: "UnrecognizedClientException",
    caller: "arn:aws:iam::111122223333:user/emulator",
    role: KEY_ARN,
    external: "AccessDenied",
    random: 32,
  });
  const wrapped = new Uint8Array(Buffer.from(answer.theirs, "base64"));
  expect(await key().unwrap({ provider: "aws-kms", keyId: KEY_ARN, alg: 9, wrapped }, OPTIONS)).toEqual(DEK);
});

function key(): ReturnType<typeof awsKmsKey> {
  return awsKmsKey({ ...emulator.connection, keyArn: KEY_ARN });
}

function rsaKey(): ReturnType<typeof awsKmsKey> {
  return awsKmsKey({ ...emulator.connection, keyArn: RSA_ARN, keyType: "rsa" });
}

/** The answer to one request, as it stands on the wire. */
async function bareAnswer(operation: string, request: object): Promise<{ readonly KeyMetadata?: object }> {
  const body = JSON.stringify(request);
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${operation}` };
  const asked = { method: "POST", host: new URL(emulator.url).host, path: "/", headers, body } as const;
  const scope = { region: "eu-central-1", service: "kms", credentials: emulator.credentials, nowMs: systemClock.unixMs() };
  const sent = {
    method: "POST",
    headers: signedHeaders(asked, scope),
    body,
    redirect: "manual",
    signal: new AbortController().signal,
  } as const;
  const answer = await emulator.fetch(`${emulator.url}/`, sent);
  const text = await new Response(answer.body).text();
  expect(answer.status, `${operation}: ${text}`).toBe(200);
  return JSON.parse(text);
}

/** What every service of AWS may answer. */
const OF_ALL_SERVICES = new Set([
  "AccessDeniedException",
  "ExpiredTokenException",
  "InvalidSignatureException",
  "ThrottlingException",
  "UnrecognizedClientException",
  "ValidationException",
]);
const PYTHON = `
import base64, json, os
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def client(service="kms", **more):
    return boto3.client(service, endpoint_url=os.environ["URL"], verify=os.environ["CA"], config=Config(retries={"total_max_attempts": 1}), **more)

def refusal(work):
    try:
        work()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "none"

kms = client()
key = os.environ["KEY"]
context = json.loads(os.environ["CONTEXT"])
opened = kms.decrypt(CiphertextBlob=base64.b64decode(os.environ["OURS"]), EncryptionContext=context)["Plaintext"]
shifted = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "bc"})["CiphertextBlob"]
sts = client("sts")
role = sts.assume_role(RoleArn=os.environ["ROLE"], RoleSessionName="boto", ExternalId="acme-7")["Credentials"]
as_role = client(aws_access_key_id=role["AccessKeyId"], aws_secret_access_key=role["SecretAccessKey"], aws_session_token=role["SessionToken"])
print(json.dumps({
    "ours": base64.b64encode(opened).decode(),
    "theirs": base64.b64encode(kms.encrypt(KeyId=key, Plaintext=opened, EncryptionContext=context)["CiphertextBlob"]).decode(),
    "shifted": refusal(lambda: kms.decrypt(CiphertextBlob=shifted, EncryptionContext={"ab": "c"})),
    "missing": refusal(lambda: kms.describe_key(KeyId="alias/missing")),
    "region": refusal(lambda: client(region_name="us-east-1").describe_key(KeyId=key)),
    "signature": refusal(lambda: client(aws_secret_access_key="wrong", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"]).list_keys()),
    "unknown": refusal(lambda: client(aws_secret_access_key="wrong", aws_access_key_id="AKIAIOSFODNN7EXAMPLE").list_keys()),
    "caller": sts.get_caller_identity()["Arn"],
    "role": as_role.describe_key(KeyId=key)["KeyMetadata"]["Arn"],
    "external": refusal(lambda: sts.assume_role(RoleArn=os.environ["ROLE"], RoleSessionName="boto")),
    "random": len(kms.generate_random(NumberOfBytes=32)["Plaintext"]),
}))
`;
