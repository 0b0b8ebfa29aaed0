import type { KeyVersion } from "../../core/telemetry/events.ts";

// KEK versions as text, to count them by. A provider's name holds no space.

export function namesIn({ recipients }: { readonly recipients: readonly KeyVersion[] }): string[] {
  return recipients.map(({ provider, keyId }) => `${provider} ${keyId}`);
}

export function versionNamed(name: string): KeyVersion {
  const space = name.indexOf(" ");
  return { provider: name.slice(0, space), keyId: name.slice(space + 1) };
}

/** Counts records by the KEK versions that they named before and name after, ordered by name. */
export function versionCounts(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): readonly (KeyVersion & { readonly before: number; readonly after: number })[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.map((name) => ({ ...versionNamed(name), before: before[name] ?? 0, after: after[name] ?? 0 }));
}
