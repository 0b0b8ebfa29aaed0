import type { IdentityServices } from "./google-identity.ts";
import type { Principals, PrincipalTraits } from "./google-principals.ts";
import { LoopbackEmulator } from "./loopback-emulator.ts";
import type { LogEntry, LoopbackServer } from "./loopback-server.ts";

/** The principals that call a service of Google's, and the services that give them tokens. */
export interface GoogleAccess {
  readonly principals: Principals;
  readonly identity: IdentityServices;
}

/** The part common to all emulators of Google's services: principals, their tokens, and the services that give these. */
export abstract class GoogleEmulator<Entry extends LogEntry, OwnFault> extends LoopbackEmulator<Entry, OwnFault> {
  /** An access token that may do everything. */
  readonly token: string;
  readonly #access: GoogleAccess;

  protected constructor(server: LoopbackServer<Entry, OwnFault>, isFaultName: (name: string) => boolean, access: GoogleAccess) {
    super(server, isFaultName);
    this.#access = access;
    this.token = this.issueToken({ email: "owner@acme.iam.gserviceaccount.com", ttlSeconds: YEAR_SECONDS });
  }

  /** @returns a new access token */
  issueToken(traits: PrincipalTraits = {}): string {
    const { principals } = this.#access;
    return principals.issue(principals.principal(traits));
  }

  /** Invalidates every token issued so far, the emulator's own included. */
  revokeTokens(): void {
    this.#access.principals.revokeTokens();
  }

  /** Makes a service account. @returns the file of its key, as JSON */
  addServiceAccount(traits: PrincipalTraits = {}): string {
    return this.#access.principals.addAccount(traits);
  }

  /** Sets the service account of the metadata server; undefined for a machine without one. */
  attach(traits: PrincipalTraits | undefined): void {
    const { identity, principals } = this.#access;
    identity.attached = traits === undefined ? undefined : principals.principal(traits);
  }
}

const YEAR_SECONDS = 31_536_000;
