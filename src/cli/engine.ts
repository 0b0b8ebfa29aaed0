import { EnvelockError } from "../core/base/errors.ts";
import type { Finding } from "../core/contracts/finding.ts";
import { engineInfo, refuseNative } from "../core/crypto/engine-info.ts";
import { environmentVariable } from "./environment.ts";
import { usageError } from "./failure.ts";

/**
 * Takes the engine that `ENVELOCK_ENGINE` names: `node` goes without `@envelock/native`, `native` does not go without it.
 *
 * @throws `invalid-argument`
 */
export function chooseEngine(): void {
  const choice = environmentVariable(VARIABLE);
  if (choice === undefined) return;
  if (choice === "node") {
    refuseNative(`${VARIABLE}=node`);
  } else if (choice !== "native") {
    throw usageError(`${VARIABLE} is ${JSON.stringify(choice)}`, "give node or native, or leave it unset");
  } else {
    const { name, without } = engineInfo();
    if (name === "node-native") return;
    const hint = `unset ${VARIABLE} to go on with what is there`;
    throw new EnvelockError("invalid-argument", `${VARIABLE} is native: ${without?.message ?? `the engine is ${name}`}`, { hint });
  }
}

/** Tells what does the cryptography of this command. Only a part that is there and does not work is a warning. */
export function engineFinding(): Finding {
  const { name, native, without } = engineInfo();
  if (native !== undefined) {
    const fips = native.isFips ? ", in FIPS mode" : "";
    const message = `${name}: @envelock/native ${native.version} for ${native.platform}, over OpenSSL ${native.openssl}${fips}`;
    return { check: "engine", status: "ok", message };
  }
  if (without === undefined) return { check: "engine", status: "ok", message: name };
  const message = `${name}: ${without.message}`;
  if (without.reason === "not-installed" || without.reason === "refused") return { check: "engine", status: "ok", message };
  return { check: "engine", status: "warning", message, advice: "install the version of @envelock/native that is the version of envelock" };
}

const VARIABLE = "ENVELOCK_ENGINE";
