import { type Command, Option } from "commander";
import { PKCS11_KEY_TYPES, type Pkcs11KeyType, parsePkcs11Uri } from "../../providers/pkcs11/index.ts";
import { usageError } from "./failure.ts";
import { keyTable } from "./hsm-list.ts";
import { addDebugOption } from "./options.ts";
import { printLines } from "./output.ts";
import { addLoginOption, type LoginOptions, withToken } from "./pkcs11-uri.ts";

interface HsmKeygenOptions extends LoginOptions {
  readonly type: Pkcs11KeyType;
  readonly startDate?: string;
  readonly extractable?: boolean;
}

export function addHsmKeygen(hsm: Command): void {
  const command = hsm
    .command("keygen")
    .summary("make a key on a token")
    .description(
      "Makes a key on a token, or a further version of one: all keys of one label are versions, and the newest wraps. The key gets no " +
        "more rights than wrapping data keys needs, and never leaves the token. It is tried, and deleted again if it cannot be used.",
    )
    .argument("<uri>", "pkcs11: URI of the token with the label of the key as object=, and perhaps an id=")
    .addOption(new Option("-t, --type <type>", "the type of the key").choices(PKCS11_KEY_TYPES).default("aes-256"))
    .option("--start-date <date>", "the first day of this version, as YYYY-MM-DD")
    .option("--extractable", "let it leave the token under another key, for hsm byok");
  addLoginOption(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Example:
  envelock hsm keygen "pkcs11:token=hsm;object=orders?module-path=/usr/lib/softhsm/libsofthsm2.so"`,
  );
  command.action(keygen);
}

async function keygen(uri: string, { type, startDate, extractable, ...login }: HsmKeygenOptions): Promise<void> {
  const { object, id } = parsePkcs11Uri(uri);
  if (object === undefined) throw usageError("the URI gives the new key no label", "object=orders, for instance");
  const key = await withToken(uri, login, (token) =>
    token.generateKey({
      type,
      label: object,
      ...(id !== undefined && { id }),
      ...(startDate !== undefined && { startDate: dayOf(startDate) }),
      isExtractable: extractable === true,
    }),
  );
  await printLines(keyTable([key]));
}

function dayOf(date: string): string {
  if (!/^\d{4}-\d\d-\d\d$/.test(date)) throw usageError("a date is written YYYY-MM-DD");
  return date.replaceAll("-", "");
}
