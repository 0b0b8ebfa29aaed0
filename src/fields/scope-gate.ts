import { admitNow, type FieldUse, type Gate, type GateRequest } from "../core/keyring/gate.ts";
import type { Scope } from "./key-table.ts";

/** Asks the keyring's gate for the ciphers of one scope, at each use of a data key that is in memory. */
export class ScopeGate {
  readonly #gate: Gate | undefined;
  readonly #encryption: GateRequest;
  readonly #decryption: GateRequest;

  constructor(gate: Gate | undefined, { context, purpose }: Scope) {
    const request = (operation: FieldUse): GateRequest => ({ operation, keyContext: context.map, isSync: true });
    this.#gate = gate;
    this.#encryption = Object.freeze(request(purpose === "blind-indexes" ? "index-field" : "encrypt-field"));
    this.#decryption = Object.freeze(request("decrypt-field"));
  }

  /** @throws what the gate throws; `invalid-argument` if it does not decide at once */
  admitEncryption(): void {
    if (this.#gate !== undefined) admitNow(this.#gate, this.#encryption);
  }

  /** @throws as `admitEncryption` */
  admitDecryption(): void {
    if (this.#gate !== undefined) admitNow(this.#gate, this.#decryption);
  }
}
