import { deepStrictEqual } from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { KeyProvider, Recipient, WrapOptions } from "envelock";
import { type Pkcs11KeyOptions, type Pkcs11Mechanism, pkcs11Key } from "envelock/providers/pkcs11";
import pkcs11js, { type Handle, type PKCS11 } from "pkcs11js";
import { faultShim } from "../test/providers/pkcs11/fault-shim.ts";
import { softHsmTokens, type TestToken } from "../test/providers/pkcs11/tokens.ts";
import { type Contest, runContest } from "./harness.ts";

/** Wraps and unwraps on SoftHSM, against the same calls made by hand with pkcs11js, and how long a slow token holds up the event loop. */
export async function pkcs11Tables(): Promise<string> {
  const softHsm = softHsmTokens("bench");
  try {
    const [token] = softHsm.tokens;
    token.addKey({ label: "aes", id: "01", aes: randomBytes(32) });
    token.addKey({
      label: "kw",
      id: "02",
      aes: randomBytes(32),
      attributes: { [pkcs11js.CKA_ENCRYPT]: false, [pkcs11js.CKA_DECRYPT]: false },
    });
    token.addKey({ label: "rsa", id: "03", rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey });
    return `${await speedTable(token)}\n\n${await delayTable(token, softHsm.folder)}`;
  } finally {
    softHsm.remove();
  }
}

async function speedTable(token: TestToken): Promise<string> {
  const rows: string[] = [];
  const keeper = keyOn(token, { key: { label: "aes" } }); // keeps the library initialised and the login
  await keeper.current();
  const bare = bareToken(token);
  for (const { mechanism, label, wrap, unwrap } of bareMechanisms(bare)) {
    const key = keyOn(token, { key: { label }, mechanism });
    for (const contest of contestsOf(mechanism, key, wrap, unwrap)) {
      const [byHand, ours] = await runContest(contest, REPETITIONS);
      if (byHand === undefined || ours === undefined) throw new Error("a contest has two rows");
      rows.push(
        `| ${contest.name} | ${perSecond(byHand.microseconds)} | ${perSecond(ours.microseconds)} | ${(1 / ours.ratio).toFixed(2)} |`,
      );
    }
    await key.close();
  }
  await keeper.close();
  return [
    "| SoftHSM, one after the other | pkcs11js by hand, a second | envelock, a second | share |",
    "| --- | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}

function contestsOf(mechanism: string, key: KeyProvider, wrap: BareWrap, unwrap: BareUnwrap): readonly Contest[] {
  const dek = new Uint8Array(randomBytes(32));
  let wrapped: Recipient | undefined;
  const wrappedOnce = (): Recipient => {
    if (wrapped === undefined) throw new Error("prove wraps first");
    return wrapped;
  };
  const prove = async (): Promise<void> => {
    wrapped = await key.wrap(dek, OPTIONS);
    deepStrictEqual(new Uint8Array(await unwrap(wrapped.wrapped)), dek);
    deepStrictEqual(await key.unwrap({ ...wrapped, wrapped: new Uint8Array(await wrap(dek)) }, OPTIONS), dek);
  };
  return [
    {
      name: `${mechanism}, wrap`,
      prove,
      baseline: { name: "pkcs11js", run: () => wrap(dek) },
      contestants: [{ name: "envelock", run: () => key.wrap(dek, OPTIONS) }],
    },
    {
      name: `${mechanism}, unwrap`,
      prove,
      baseline: { name: "pkcs11js", run: () => unwrap(wrappedOnce().wrapped) },
      contestants: [{ name: "envelock", run: () => key.unwrap(wrappedOnce(), OPTIONS) }],
    },
  ];
}

/** How long the event loop stands still while a token that takes 50 ms for every call unwraps. */
async function delayTable(token: TestToken, folder: string): Promise<string> {
  const shim = faultShim(token.module, folder);
  const rows: string[] = [];
  for (const thread of [false, true]) {
    const key = keyOn({ ...token, module: shim.module }, { key: { label: "aes" }, thread });
    const wrapped = await key.wrap(randomBytes(32), OPTIONS);
    shim.inject("*", { delayMs: TOKEN_MS });
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    for (let unwrap = 0; unwrap < UNWRAPS; unwrap++) await key.unwrap(wrapped, OPTIONS);
    delay.disable();
    shim.heal();
    await key.close();
    const [median, most] = [delay.percentile(50), delay.max].map((nanoseconds) => `${(nanoseconds / 1e6).toFixed(1)} ms`);
    rows.push(`| ${thread} | ${median} | ${most} |`);
  }
  return [`| \`thread\`, ${TOKEN_MS} ms for each call | event loop delay, median | longest |`, "| --- | ---: | ---: |", ...rows].join("\n");
}

function keyOn({ module, label, pin }: TestToken, options: Partial<Pkcs11KeyOptions>): Required<KeyProvider> {
  return pkcs11Key({ module, token: { label }, pin: () => pin, ...options });
}

type BareWrap = (dek: Uint8Array) => Promise<Uint8Array>;
type BareUnwrap = (wrapped: Uint8Array) => Promise<Uint8Array>;

interface BareToken {
  readonly pkcs11: PKCS11;
  readonly session: Handle;
  find(label: string, objectClass: number): Handle;
}

/** As short as it can be written: one session, no recovery, in a library that is initialised and logged in already. */
function bareToken({ module, label }: TestToken): BareToken {
  const pkcs11 = new pkcs11js.PKCS11();
  pkcs11.load(module);
  const slot = pkcs11.C_GetSlotList(true).find((candidate) => pkcs11.C_GetTokenInfo(candidate).label.trim() === label);
  if (slot === undefined) throw new Error("the token is not there");
  const session = pkcs11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION);
  return {
    pkcs11,
    session,
    find(keyLabel, objectClass) {
      pkcs11.C_FindObjectsInit(session, [
        { type: pkcs11js.CKA_LABEL, value: keyLabel },
        { type: pkcs11js.CKA_CLASS, value: objectClass },
      ]);
      const [object] = pkcs11.C_FindObjects(session, 1);
      pkcs11.C_FindObjectsFinal(session);
      if (object === undefined) throw new Error(`no ${keyLabel}`);
      return object;
    },
  };
}

interface BareMechanism {
  readonly mechanism: Pkcs11Mechanism;
  readonly label: string;
  readonly wrap: BareWrap;
  readonly unwrap: BareUnwrap;
}

function bareMechanisms({ pkcs11, session, find }: BareToken): readonly BareMechanism[] {
  const aes = find("aes", pkcs11js.CKO_SECRET_KEY);
  const kw = find("kw", pkcs11js.CKO_SECRET_KEY);
  const [publicKey, privateKey] = [find("rsa", pkcs11js.CKO_PUBLIC_KEY), find("rsa", pkcs11js.CKO_PRIVATE_KEY)];
  const gcm = (nonce: Buffer) => ({
    mechanism: pkcs11js.CKM_AES_GCM,
    parameter: { type: pkcs11js.CK_PARAMS_AES_GCM_v240, iv: nonce, ivBits: 96, aad: Buffer.from(AAD), tagBits: 128 },
  });
  const oaep = {
    mechanism: pkcs11js.CKM_RSA_PKCS_OAEP,
    parameter: { type: pkcs11js.CK_PARAMS_RSA_OAEP, hashAlg: pkcs11js.CKM_SHA_1, mgf: pkcs11js.CKG_MGF1_SHA1, source: 1 },
  };
  const keyWrap = (mechanism: number): { readonly wrap: BareWrap; readonly unwrap: BareUnwrap } => ({
    async wrap(dek) {
      const object = pkcs11.C_CreateObject(session, [...DEK_OBJECT, { type: pkcs11js.CKA_VALUE, value: Buffer.from(dek) }]);
      const wrapped = pkcs11.C_WrapKey(session, { mechanism }, kw, object, Buffer.alloc(40));
      pkcs11.C_DestroyObject(session, object);
      return wrapped;
    },
    async unwrap(wrapped) {
      const object = pkcs11.C_UnwrapKey(session, { mechanism }, kw, Buffer.from(wrapped), DEK_OBJECT);
      const [value] = pkcs11.C_GetAttributeValue(session, object, [{ type: pkcs11js.CKA_VALUE }]);
      pkcs11.C_DestroyObject(session, object);
      return value?.value instanceof Uint8Array ? value.value : new Uint8Array(0);
    },
  });
  return [
    {
      mechanism: "aes-gcm",
      label: "aes",
      async wrap(dek) {
        const nonce = randomBytes(12);
        pkcs11.C_EncryptInit(session, gcm(nonce), aes);
        return Buffer.concat([nonce, await pkcs11.C_EncryptAsync(session, Buffer.from(dek), Buffer.alloc(48))]);
      },
      async unwrap(wrapped) {
        pkcs11.C_DecryptInit(session, gcm(Buffer.from(wrapped.subarray(0, 12))), aes);
        return await pkcs11.C_DecryptAsync(session, Buffer.from(wrapped.subarray(12)), Buffer.alloc(48));
      },
    },
    { mechanism: "aes-kw", label: "kw", ...keyWrap(0x2109) },
    { mechanism: "aes-kwp", label: "kw", ...keyWrap(0x210a) }, // RFC 5649 on SoftHSM
    {
      mechanism: "rsa-oaep-sha1",
      label: "rsa",
      async wrap(dek) {
        pkcs11.C_EncryptInit(session, oaep, publicKey);
        return await pkcs11.C_EncryptAsync(session, Buffer.from(dek), Buffer.alloc(256));
      },
      async unwrap(wrapped) {
        pkcs11.C_DecryptInit(session, oaep, privateKey);
        return await pkcs11.C_DecryptAsync(session, Buffer.from(wrapped), Buffer.alloc(256));
      },
    },
  ];
}

function perSecond(microseconds: number): string {
  return Math.round(1e6 / microseconds).toLocaleString("en-US");
}

const REPETITIONS = 7;
const TOKEN_MS = 50;
const UNWRAPS = 10;
const AAD: Uint8Array = randomBytes(64);
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => AAD };
const DEK_OBJECT = [
  { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
  { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
  { type: pkcs11js.CKA_TOKEN, value: false },
  { type: pkcs11js.CKA_SENSITIVE, value: false },
  { type: pkcs11js.CKA_EXTRACTABLE, value: true },
];
