import type { Command } from "commander";
import { addHsmByok } from "./hsm-byok.ts";
import { addHsmKeygen } from "./hsm-keygen.ts";
import { addHsmList } from "./hsm-list.ts";
import { addHsmMechanisms } from "./hsm-mechanisms.ts";
import { addHsmSelftest } from "./hsm-selftest.ts";

export function addHsm(program: Command): void {
  const command = program
    .command("hsm")
    .summary("look at PKCS#11 tokens, and set them up")
    .description("Looks at tokens behind PKCS#11, makes keys on them, and finds out what works on them. `--key pkcs11:…` uses the keys.");
  for (const addVerb of [addHsmList, addHsmMechanisms, addHsmKeygen, addHsmSelftest, addHsmByok]) addVerb(command);
  command.addHelpText(
    "after",
    `
A token is named by a pkcs11: URI (RFC 7512), such as "pkcs11:token=orders?module-path=/usr/lib/softhsm/libsofthsm2.so".
Without module-path the library is that of ENVELOCK_PKCS11_MODULE. The PIN comes from pin-source=file:/path in the
URI, else from ENVELOCK_PKCS11_PIN, else it is asked for. Tokens lock after a few wrong PINs: \`hsm list\` shows how many
are left, and no PIN is shown to a token that locks at the next wrong one.`,
  );
}
