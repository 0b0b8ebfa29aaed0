import { createHash } from "node:crypto";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { TokenInfo } from "../cryptoki/cryptoki.ts";
import { pinFailure, refusesPin } from "../cryptoki/failures.ts";
import type { Pkcs11Pin } from "../options.ts";
import type { OpenLink } from "./open-link.ts";

export interface PinAccess {
  readonly pin: Pkcs11Pin | undefined;
  /** Shows the PIN also to a token that locks at the next wrong one. */
  readonly mayUseLastPinTry: boolean;
}

/**
 * Logs the user in. Tokens lock after a few wrong PINs, so a PIN that the token has refused in this process is not shown to it again,
 * by no provider and in no thread; and no PIN is shown to a token that is locked or has one try left.
 *
 * @param requireOpen throws if the provider was closed while the PIN was asked for
 * @throws `access-denied` with detail `pin`, `pin-last-try` or `pin-locked`
 */
export async function logIn(link: OpenLink, access: PinAccess, requireOpen: () => void): Promise<void> {
  const { cryptoki, info, slot } = link.link;
  refuseLastTry(info, access);
  const pin = await askPin(info, access);
  requireOpen();
  if (!link.isCurrent) throw new EnvelockError("unavailable", "the token was lost while its PIN was asked for", { detail: "token-lost" });
  const digest = createHash("sha256").update([link.module.path, info.label, info.serial, pin].join("\0")).digest("hex");
  if (link.module.peers.isRefused(digest)) throw refusedBefore();
  try {
    cryptoki.login(link.anchor, pin);
  } catch (error) {
    if (!refusesPin(error)) throw error;
    link.module.peers.refuse(digest);
    throw pinRefused(
      flagsNow(() => cryptoki.tokenInfo(slot).flags),
      error,
    );
  }
}

function refuseLastTry({ label, flags }: TokenInfo, { mayUseLastPinTry }: PinAccess): void {
  if ((flags & ck.CKF_USER_PIN_LOCKED) !== 0) {
    throw new EnvelockError("access-denied", `the user PIN of the token "${label}" is locked`, {
      detail: "pin-locked",
      hint: "the security officer must unlock the PIN; none was shown to the token",
    });
  }
  if ((flags & ck.CKF_USER_PIN_FINAL_TRY) === 0 || mayUseLastPinTry) return;
  throw new EnvelockError("access-denied", `the token "${label}" locks at the next wrong PIN, so none was shown to it`, {
    detail: "pin-last-try",
    hint: "log in once with the token's own tool, which resets the count; or set dangerLastPinTry (--danger-last-pin-try) if you are sure of the PIN",
  });
}

async function askPin({ label, flags }: TokenInfo, { pin: ask }: PinAccess): Promise<string> {
  if (ask === undefined) {
    throw new EnvelockError("access-denied", `the token "${label}" needs a login and no PIN was given`, {
      detail: "pin",
      hint:
        (flags & ck.CKF_PROTECTED_AUTHENTICATION_PATH) === 0
          ? "give `pin`"
          : "a PIN that is typed on the device itself cannot be asked for through pkcs11js",
    });
  }
  const pin: unknown = await (async () => await ask())().catch((error: unknown) => {
    throw pinFailure(error);
  });
  if (typeof pin === "string" && pin !== "") return pin;
  throw new EnvelockError("access-denied", "the pin function returned no PIN", { detail: "pin", hint: "it must return a text" });
}

function refusedBefore(): EnvelockError {
  return new EnvelockError("access-denied", "the token has refused this PIN before, so it was not shown to it again", {
    detail: "pin",
    hint: "correct the PIN; if it has become right since, start the process anew",
  });
}

function pinRefused(flags: number, cause: unknown): EnvelockError {
  const [state = "tokens lock after a few wrong PINs"] = PIN_STATES.flatMap(([flag, text]) => ((flags & flag) === 0 ? [] : [text]));
  const detail = (flags & ck.CKF_USER_PIN_LOCKED) === 0 ? "pin" : "pin-locked";
  return new EnvelockError("access-denied", `the token refused the PIN: ${cause instanceof Error ? cause.message : ""}`, {
    detail,
    hint: `correct the PIN: ${state}; this process does not show the same one again`,
    cause,
  });
}

function flagsNow(read: () => number): number {
  try {
    return read();
  } catch {
    return 0; // the refusal says more
  }
}

const PIN_STATES: readonly (readonly [flag: number, text: string])[] = [
  [ck.CKF_USER_PIN_LOCKED, "the token is locked now, and the security officer must unlock it"],
  [ck.CKF_USER_PIN_FINAL_TRY, "one more wrong one locks the token"],
  [ck.CKF_USER_PIN_COUNT_LOW, "the token counts wrong ones, and locks after a few"],
];
