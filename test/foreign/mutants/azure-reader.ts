import { createDecipheriv } from "node:crypto";
import { countedNonce } from "../azure-storage-vectors.ts";

/** What a careless reader leaves out or does otherwise. */
export type AzureSlip =
  | "no order of regions"
  | "order by the first region alone"
  | "short tags"
  | "nonce of any length"
  | "key id not compared"
  | "version inside the key not compared"
  | "content key of any length"
  | "algorithm not compared with protocol"
  | "region length not checked"
  | "least length of a region not checked"
  | "no metadata means plaintext"
  | "tag not verified"
  | "name of metadata in one case"
  | "null counts as present"
  | "padding not checked";

interface Key {
  readonly keyId: string;
  /** Throws for what it did not wrap. */
  readonly unwrap: (algorithm: string, wrapped: Buffer) => Buffer;
}

/** Reads by the documented layout, and shares nothing with the library. Returns the plaintext; throws a code as its message. */
export function readAzure(metadata: Readonly<Record<string, unknown>>, body: Buffer, keys: readonly Key[], slip?: AzureSlip): Buffer {
  const name = Object.keys(metadata).find(
    (given) => (slip === "name of metadata in one case" ? given : given.toLowerCase()) === "encryptiondata",
  );
  const text = name === undefined ? undefined : metadata[name];
  if (text === undefined && slip === "no metadata means plaintext") return body;
  const data = membersOf(() => JSON.parse(`${text}`));
  const [key, agent] = [membersOf(() => data.WrappedContentKey), membersOf(() => data.EncryptionAgent)];
  const wrapped = Buffer.from(`${key.EncryptedKey}`, "base64");
  const isBase64 = wrapped.length > 0 && wrapped.toString("base64") === key.EncryptedKey;
  if (typeof key.KeyId !== "string" || typeof key.Algorithm !== "string" || !isBase64) throw new Error("malformed-envelope");
  const protocol = `${agent.Protocol}`;
  if (!["1.0", "2.0", "2.1"].includes(protocol))
    throw new Error(agent.Protocol === undefined ? "malformed-envelope" : "unsupported-version");
  const isCbc = protocol === "1.0";
  const fits = agent.EncryptionAlgorithm === (isCbc ? "AES_CBC_256" : "AES_GCM_256");
  if (!fits && slip !== "algorithm not compared with protocol") throw new Error("malformed-envelope");
  if (slip === "null counts as present" && data.ContentEncryptionIV === null) throw new Error("malformed-envelope");
  const layout = isCbc
    ? cbcLayout(data, body)
    : regionLayout(
        membersOf(() => data.EncryptedRegionInfo),
        body,
        slip,
      );
  const kek = keys.find(({ keyId }) => keyId === key.KeyId || slip === "key id not compared");
  if (kek === undefined) throw new Error("no-matching-provider");
  const inner = refused(() => kek.unwrap(`${key.Algorithm}`, wrapped));
  const prefix = isCbc ? "" : `${protocol}\0\0\0\0\0`;
  const hasPrefix = inner.subarray(0, prefix.length).toString("latin1") === prefix || slip === "version inside the key not compared";
  const rest = slip === "version inside the key not compared" && inner.length === 32 ? inner : inner.subarray(prefix.length);
  if (!hasPrefix || (rest.length !== 32 && slip !== "content key of any length")) throw new Error("authentication-failed");
  return layout(rest.subarray(0, 32), slip);
}

type Layout = (key: Buffer, slip: AzureSlip | undefined) => Buffer;

function cbcLayout({ ContentEncryptionIV }: Members, body: Buffer): Layout {
  const start = Buffer.from(`${ContentEncryptionIV}`, "base64");
  if (start.length !== 16 || body.length === 0 || body.length % 16 !== 0) throw new Error("malformed-envelope");
  return (key, slip) =>
    refused(() => {
      const cipher = createDecipheriv("aes-256-cbc", key, start).setAutoPadding(slip !== "padding not checked");
      const plaintext = Buffer.concat([cipher.update(body), cipher.final()]);
      return slip === "padding not checked" ? plaintext.subarray(0, plaintext.length - (plaintext.at(-1) ?? 0)) : plaintext;
    });
}

function regionLayout({ DataLength, NonceLength }: Members, body: Buffer, slip: AzureSlip | undefined): Layout {
  const regionBytes = Number(DataLength);
  const isRegion = typeof DataLength === "number" && Number.isInteger(DataLength) && DataLength >= 1 && DataLength <= 2 ** 30;
  if (!isRegion && !(slip === "region length not checked" && regionBytes > 0)) throw new Error("malformed-envelope");
  if (NonceLength !== 12 && slip !== "nonce of any length") throw new Error("malformed-envelope");
  const rest = body.length % (regionBytes + 28);
  if (rest > 0 && rest < 29 && slip !== "least length of a region not checked") throw new Error("malformed-envelope");
  return (key, slip) => {
    const parts: Buffer[] = [];
    let layouts: readonly ("python" | "java" | "dotnet")[] = ["python", "java", "dotnet"];
    for (let at = 0, index = 0; at < body.length; at += regionBytes + 28, index++) {
      const region = body.subarray(at, at + regionBytes + 28);
      const nonce = region.subarray(0, 12);
      const isCounted = slip !== "no order of regions" && !(slip === "order by the first region alone" && index > 0);
      if (isCounted) layouts = layouts.filter((layout) => countedNonce(layout, index).equals(nonce));
      if (layouts.length === 0) throw new Error("authentication-failed");
      parts.push(refused(() => openedRegion(key, nonce, region.subarray(12), slip)));
    }
    return Buffer.concat(parts);
  };
}

function openedRegion(key: Buffer, nonce: Buffer, sealed: Buffer, slip: AzureSlip | undefined): Buffer {
  const tagBytes = slip === "short tags" ? 4 : 16;
  const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  const ciphertext = sealed.subarray(0, sealed.length - 16);
  if (slip === "tag not verified") return cipher.update(ciphertext);
  cipher.setAuthTag(sealed.subarray(sealed.length - 16, sealed.length - 16 + tagBytes));
  return Buffer.concat([cipher.update(ciphertext), cipher.final()]);
}

interface Members {
  readonly WrappedContentKey?: unknown;
  readonly EncryptionAgent?: unknown;
  readonly EncryptedRegionInfo?: unknown;
  readonly ContentEncryptionIV?: unknown;
  readonly KeyId?: unknown;
  readonly EncryptedKey?: unknown;
  readonly Algorithm?: unknown;
  readonly Protocol?: unknown;
  readonly EncryptionAlgorithm?: unknown;
  readonly DataLength?: unknown;
  readonly NonceLength?: unknown;
}

function membersOf(read: () => unknown): Members {
  let value: unknown;
  try {
    value = read();
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("malformed-envelope");
  return Object.fromEntries(Object.entries(value));
}

function refused(work: () => Buffer): Buffer {
  try {
    return work();
  } catch {
    throw new Error("authentication-failed");
  }
}
