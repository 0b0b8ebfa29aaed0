import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { type ByokKek, byokFile, PKCS11_KEY_TYPES, type Pkcs11KeyType, parsePkcs11Uri } from "../../providers/pkcs11/index.ts";
import { utf8, wipe } from "../core/base/bytes.ts";
import { systemError, usageError } from "./failure.ts";
import { addDebugOption, addOutputOptions, type OutputOptions } from "./options.ts";
import { NEW_FILE_MODE, openOutput } from "./output.ts";
import { addLoginOption, type LoginOptions, withToken } from "./pkcs11-uri.ts";

interface HsmByokOptions extends OutputOptions, LoginOptions {
  readonly kek: string;
  readonly kekId: string;
  readonly type?: Pkcs11KeyType;
}

export function addHsmByok(hsm: Command): void {
  const command = hsm
    .command("byok")
    .summary("make a .byok file, which brings a key to Azure")
    .description(
      "Wraps a key for an Azure vault or Managed HSM, under a key exchange key there: a key on a token with CKA_EXTRACTABLE, or with " +
        "--type a new one, which is not kept here.",
    )
    .argument("[uri]", "pkcs11: URI of the key, with object= or id=")
    .addOption(new Option("--kek <file>", "the public half of the key exchange key, in PEM").makeOptionMandatory())
    .addOption(new Option("--kek-id <url>", "its key id in Azure, with the version").makeOptionMandatory())
    .addOption(new Option("-t, --type <type>", "make a new key of this type").choices(PKCS11_KEY_TYPES));
  addOutputOptions(command);
  addLoginOption(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Example:
  az keyvault key download --vault-name acme --name exchange --file exchange.pem --encoding PEM
  envelock hsm byok "pkcs11:token=hsm;object=orders" --kek exchange.pem --kek-id "$KEK_ID" --out orders.byok
  az keyvault key import --vault-name acme --name orders --byok-file orders.byok`,
  );
  command.action(byok);
}

async function byok(uri: string | undefined, options: HsmByokOptions): Promise<void> {
  const { type } = options;
  const write = openOutput(options, NEW_FILE_MODE);
  const kek = { keyId: options.kekId, publicKey: readPem(options.kek) };
  if ((uri === undefined) === (type === undefined)) throw usageError("byok takes the URI of a key, or --type for a new one");
  await write([utf8(uri === undefined ? ofNewKey(kek, type ?? "aes-256") : await ofToken(kek, uri, options))]);
}

async function ofToken(kek: ByokKek, uri: string, login: LoginOptions): Promise<string> {
  const { object, id } = parsePkcs11Uri(uri);
  const key = { ...(object !== undefined && { label: object }), ...(id !== undefined && { id }) };
  return await withToken(uri, login, (token) => token.byokFile(key, kek));
}

function ofNewKey(kek: ByokKek, type: Pkcs11KeyType): string {
  const key = type === "aes-256" ? randomBytes(32) : newPrivateKey(Number(type.slice("rsa-".length)));
  try {
    return byokFile(kek, key);
  } finally {
    wipe(key);
  }
}

/** PKCS #8 in DER. */
function newPrivateKey(modulusLength: number): Uint8Array {
  return generateKeyPairSync("rsa", { modulusLength }).privateKey.export({ format: "der", type: "pkcs8" });
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw systemError(`cannot read ${path}`, cause);
  }
}
