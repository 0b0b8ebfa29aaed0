import type { TenantKey, TenantRecord } from "../../tenants/index.ts";
import { terminalText } from "../terminal-text.ts";

/** One line on a key: its number, kind, name and role. */
export function keyLine({ number, kind, key, role }: TenantKey): string {
  return terminalText(`${number} ${kind} ${kind === key ? "" : `${key} `}(${role}s)`);
}

export function timeText(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

/** What a change has made of a tenant. */
export function stateLine({ id, state, generation, epoch }: TenantRecord): string {
  const life = epoch === 1 ? "" : `, epoch ${epoch}`;
  return terminalText(`${id} is ${state}, generation ${generation}${life}`);
}
