import { describe, expect, test } from "vitest";
import { awsKmsRandom } from "../../providers/aws-kms/index.ts";
import { gcpKmsRandom } from "../../providers/gcp-kms/index.ts";
import { localKey } from "../../providers/local/index.ts";
import { vaultRandom } from "../../providers/vault/index.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { Keyring } from "../../src/index.ts";
import { noise } from "../support/arbitraries.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { keyServices } from "./key-services.ts";

const { aws, gcp, vault } = await keyServices();

interface Family {
  open(more?: object): Required<RandomSource>;
  readonly emulator: {
    failNext(fault: { readonly status: number; readonly text: string }): void;
    takeRequests(): readonly { readonly body: string }[];
  };
  /** An answer with 8 bytes of zeros. */
  readonly eight: object;
  /** The most bytes with one request. */
  readonly most: number;
  readonly bad: object;
}

const EIGHT = Buffer.alloc(8).toString("base64");
const FAMILIES: readonly (readonly [string, Family])[] = [
  [
    "AWS KMS",
    {
      open: (more) => awsKmsRandom({ ...aws.connection, region: "eu-central-1", ...more }),
      emulator: aws,
      eight: { Plaintext: EIGHT },
      most: 1024,
      bad: { region: "evil.example/" },
    },
  ],
  [
    "Cloud KMS",
    {
      open: (more) => gcpKmsRandom({ ...gcp.connection, location: "projects/acme/locations/europe-west3", ...more }),
      emulator: gcp,
      eight: { data: EIGHT, dataCrc32c: "2351477386" },
      most: 1024,
      bad: { location: "projects/acme/locations/../x" },
    },
  ],
  [
    "Vault",
    {
      open: (more) => vaultRandom({ ...vault.connection, ...more }),
      emulator: vault,
      eight: { data: { random_bytes: EIGHT } },
      most: 4096,
      bad: { mount: "../sys" },
    },
  ],
];

describe.each(FAMILIES)("random bytes of %s", (_name, { open, emulator, eight, most, bad }) => {
  test("are as many as asked for, with as many requests as it takes, and never the same", async () => {
    const random = open();
    for (const count of [1, 7, 8, 32, 1024, 1025, 4096]) {
      emulator.takeRequests();
      const bytes = await random.randomBytes(count);
      expect(bytes).toHaveLength(count);
      expect(emulator.takeRequests()).toHaveLength(Math.ceil(count / most));
    }
    expect(await random.randomBytes(32)).not.toEqual(await random.randomBytes(32));
  });

  test("make data keys, mixed with this machine's", async () => {
    const keyring = new Keyring({ wrapWith: [localKey({ keyId: "k", key: noise(32) })], randomness: open() });
    emulator.takeRequests();
    const envelope = await keyring.encrypt(noise(10));
    expect(emulator.takeRequests()).toHaveLength(1);
    expect(await keyring.decrypt(envelope)).toEqual(noise(10));
  });

  test("of another length, or none, are refused", async () => {
    for (const text of [JSON.stringify(eight), "{}", "<html>"]) {
      emulator.failNext({ status: 200, text });
      expect(await refusal(() => open().randomBytes(32))).toMatchObject({ code: expect.stringMatching(/provider-failure|unavailable/) });
    }
  });

  test("what cannot be asked for is refused, and nothing is asked", async () => {
    const random = open();
    emulator.takeRequests();
    for (const count of [0, -1, 1.5, 4097, Number.NaN, untyped<number>("7")])
      expect(await refusalCode(() => random.randomBytes(count))).toBe("invalid-argument");
    expect(await refusalCode(async () => open(bad))).toBe("invalid-argument");
    expect(await refusalCode(async () => open({ size: 1 }))).toBe("invalid-argument");
    await random.close();
    expect(await refusalCode(() => random.randomBytes(8))).toBe("closed");
    expect(emulator.takeRequests()).toEqual([]);
  });

  test("an aborted signal ends it with its reason", async () => {
    const reason = new Error("the caller's");
    await expect(open().randomBytes(8, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

test("a region asks the service of its own partition, without a key", async () => {
  const seen: string[] = [];
  const fetch: typeof aws.fetch = async (url, { body = "" }) => {
    seen.push(url, body);
    return new Response(JSON.stringify({ Plaintext: EIGHT }));
  };
  for (const region of ["eu-central-1", "cn-north-1", "us-gov-west-1"])
    await awsKmsRandom({ region, credentials: aws.credentials, fetch }).randomBytes(8);
  expect(seen.filter((_, place) => place % 2 === 0)).toEqual([
    "https://kms.eu-central-1.amazonaws.com/",
    "https://kms.cn-north-1.amazonaws.com.cn/",
    "https://kms.us-gov-west-1.amazonaws.com/",
  ]);
  expect(new Set(seen.filter((_, place) => place % 2 === 1))).toEqual(new Set(['{"NumberOfBytes":8}']));
});
