import { equalPublicBytes, utf8, wipe } from "../../src/core/base/bytes.ts";
import type { Clock } from "../../src/core/base/clock.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { type Findings, optional } from "./findings.ts";

/** The last checks of every doctor, in this order. */
export type TripCheck = "wrap" | "unwrap" | "context" | "latency";

/** What the findings of a doctor with more checks are too. */
export type TripNotes = Pick<Findings<TripCheck>, "ok" | "warn" | "fail" | "failWith" | "skip" | "try">;

export interface Trip {
  /** Closed at the end. */
  readonly provider: Required<KeyProvider>;
  readonly clock: Clock;
  readonly bindsContext: boolean;
  /** What to do if another context opens it. */
  readonly contextAdvice: string;
  /** The key context of both ways; a service may allow no other. Default: none. */
  readonly keyContext?: Readonly<Record<string, string>>;
  /** Asks without a wrapped key whether the caller may unwrap, for one that may not wrap. Default: it is not asked. */
  mayUnwrap?(): Promise<boolean>;
}

/** Wraps and unwraps 32 random bytes, tries another context, and measures an unwrap. */
export async function tripFindings(
  { provider, clock, bindsContext, contextAdvice, keyContext = {}, mayUnwrap }: Trip,
  findings: TripNotes,
): Promise<void> {
  const right: WrapOptions = { keyContext, wrapAad: () => utf8("envelock/doctor/right") };
  const wrong: WrapOptions = { keyContext, wrapAad: () => utf8("envelock/doctor/wrong") };
  const dek = crypto.getRandomValues(new Uint8Array(DATA_KEY_BYTES));
  try {
    let recipient: Recipient;
    try {
      recipient = await provider.wrap(dek, right);
    } catch (error) {
      findings.failWith("wrap", error);
      const isDenied = error instanceof EnvelockError && error.code === "access-denied";
      await rightFinding(isDenied ? mayUnwrap : undefined, findings);
      findings.skip(["context", "latency"], "nothing was wrapped");
      return;
    }
    findings.ok("wrap", `wrapped by ${recipient.keyId}`);
    const started = clock.monotonicMs();
    const opened = await findings.try("unwrap", () => provider.unwrap(recipient, right));
    const ms = Math.round(clock.monotonicMs() - started);
    if (opened === undefined) {
      findings.skip(["context", "latency"], "nothing was unwrapped");
      return;
    }
    if (equalPublicBytes(opened, dek)) findings.ok("unwrap", "the same bytes came back");
    else findings.fail("unwrap", "other bytes came back", "use no key of this service before its support has explained this");
    wipe(opened);
    if (bindsContext) await contextFinding((wrapped) => provider.unwrap(wrapped, wrong), recipient, contextAdvice, findings);
    else findings.ok("context", "an RSA key binds no context; the envelope does");
    const message = `an unwrap took ${ms} ms`;
    if (ms > SLOW_MS) findings.warn("latency", message, "cache unwrapped data keys, or come closer to the service");
    else findings.ok("latency", message);
  } finally {
    wipe(dek);
    await provider.close();
  }
}

/** The right to unwrap where nothing was wrapped, such as that of a caller which only reads. */
async function rightFinding(mayUnwrap: Trip["mayUnwrap"], findings: TripNotes): Promise<void> {
  const isAllowed = mayUnwrap === undefined ? undefined : await optional(mayUnwrap);
  if (isAllowed === undefined) findings.skip(["unwrap"], "nothing was wrapped");
  else if (isAllowed) findings.ok("unwrap", "the caller may unwrap; nothing was wrapped to try it with");
  else findings.fail("unwrap", "the caller may not unwrap", "grant the right to unwrap, if this identity is to read");
}

async function contextFinding(
  unwrapWrongly: (recipient: Recipient) => Promise<Uint8Array>,
  recipient: Recipient,
  advice: string,
  findings: TripNotes,
): Promise<void> {
  try {
    wipe(await unwrapWrongly(recipient));
    findings.fail("context", "another context opened it", advice);
  } catch (error) {
    if (error instanceof EnvelockError && error.code === "unwrap-rejected") findings.ok("context", "another context does not open it");
    else findings.failWith("context", error);
  }
}

const SLOW_MS = 1000;
