import type { Finding } from "../../../src/core/contracts/finding.ts";
import type { AzureKeyOptions } from "../azure-key.ts";

/** The result of one check. */
export type AzureFinding = Finding<AzureCheck>;

export type AzureCheck =
  | "dns"
  | "tls"
  | "challenge"
  | "token"
  | "read"
  | "key-type"
  | "enabled"
  | "validity"
  | "key-operations"
  | "recovery"
  | "wrap"
  | "unwrap"
  | "rotation"
  | "versions"
  | "excess-rights";

export type AzureDiagnosisOptions = Pick<
  AzureKeyOptions,
  "keyUrl" | "credential" | "allowedHosts" | "tokenResource" | "timeoutMs" | "client" | "clock" | "aesKeyBits"
>;

export function ok(check: AzureCheck, message: string): AzureFinding {
  return { check, status: "ok", message };
}

export function warning(check: AzureCheck, message: string, advice: string): AzureFinding {
  return { check, status: "warning", message, advice };
}

export function failed(check: AzureCheck, message: string, advice: string): AzureFinding {
  return { check, status: "failed", message, advice };
}

export function skipped(check: AzureCheck, message: string): AzureFinding {
  return { check, status: "skipped", message };
}

export function allSkipped(checks: readonly AzureCheck[], message: string): readonly AzureFinding[] {
  return checks.map((check) => skipped(check, message));
}
