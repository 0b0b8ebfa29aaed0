import { invalidArgument } from "../../core/base/errors.ts";
import { closest, shownValue } from "../../core/base/options.ts";

/**
 * How the key of a fake tenant behaves. `expiring` works, and its service says that it expires soon. `context-ignored` opens what another
 * tenant's context wrapped. `hanging` never answers.
 */
export type FakeKeyMode =
  | "healthy"
  | "slow"
  | "throttled"
  | "denied"
  | "disabled"
  | "deleted"
  | "unreachable"
  | "hanging"
  | "context-ignored"
  | "expiring";

/** Requires a mode of those that are known. @throws `invalid-argument` */
export function checkedMode(mode: unknown, known: readonly FakeKeyMode[] = FAKE_KEY_MODES): FakeKeyMode {
  const found = known.find((candidate) => candidate === mode);
  if (found !== undefined) return found;
  const meant = typeof mode === "string" ? closest(mode, known) : undefined;
  throw invalidArgument(
    `a key cannot be made "${shownValue(mode)}" here`,
    meant === undefined ? `known modes: ${known.join(", ")}` : `did you mean \`${meant}\`?`,
  );
}

export const FAKE_KEY_MODES: readonly FakeKeyMode[] = [
  "healthy",
  "slow",
  "throttled",
  "denied",
  "disabled",
  "deleted",
  "unreachable",
  "hanging",
  "context-ignored",
  "expiring",
];

/** The modes in which a key opens what it wrapped. */
export const OPENING_MODES: ReadonlySet<FakeKeyMode> = new Set<FakeKeyMode>(["healthy", "slow", "context-ignored", "expiring"]);
