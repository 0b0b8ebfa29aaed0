import type { KeyProvider } from "envelock";
import { azureKey } from "envelock/providers/azure";
import { localKey } from "envelock/providers/local";

// What bench/jobs.ts and the members of its fleet tell each other.

export interface FleetMember {
  readonly url: string;
  readonly id: string;
  readonly partitions: number;
  /** A vault behind an emulator. A key of this process without it. */
  readonly vault?: VaultAccess;
}

export interface VaultAccess {
  readonly keyUrls: { readonly old: string; readonly next: string };
  readonly token: string;
  readonly tokenResource: string;
  readonly allowedHosts: readonly string[];
  readonly ca: string;
  readonly callsPerSecond: number;
}

export interface MemberFigures {
  /** The time in which at least one statement was in flight. */
  readonly databaseMs: number;
  readonly cpuMs: number;
}

/** The providers of the key before and after the rewrap. */
export function keysOf(vault: VaultAccess | undefined): { readonly old: KeyProvider; readonly next: KeyProvider } {
  if (vault === undefined) {
    const [old, next] = [1, 2].map((byte) => localKey({ keyId: `key-${byte}`, key: new Uint8Array(32).fill(byte) }));
    if (old === undefined || next === undefined) throw new Error("no key");
    return { old, next };
  }
  const { keyUrls, token, tokenResource, allowedHosts, ca } = vault;
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const open = (keyUrl: string): KeyProvider =>
    azureKey({ keyUrl, credential, tokenResource, allowedHosts, client: { tlsOptions: { ca } }, minVersionAgeMs: 0 });
  return { old: open(keyUrls.old), next: open(keyUrls.next) };
}
