import type { KeyRecord } from "../../core/format/key-record.ts";
import type { KeyVersion } from "../../core/telemetry/events.ts";

// KEK versions as text, to count them by. A provider's name holds no space.

export function namesIn({ recipients }: KeyRecord): string[] {
  return recipients.map(({ provider, keyId }) => `${provider} ${keyId}`);
}

export function versionNamed(name: string): KeyVersion {
  const space = name.indexOf(" ");
  return { provider: name.slice(0, space), keyId: name.slice(space + 1) };
}
