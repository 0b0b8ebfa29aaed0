/**
 * A client of the SDK, and the order of its first calls.
 *
 * Until a client has been through its first challenge, only one call at a time may use it. With two, one of them sends its body without a
 * token, or sends none and is refused. A client whose first call failed before that is thrown away: it would go on sending bodies without a
 * token, and it keeps the body of the first call.
 */
export class GatedClient<Client> {
  readonly #make: (onAuthorised: () => void) => Promise<Client>;
  #ready: Client | undefined;
  #first: Promise<void> | undefined;

  /** @param make makes a client that reports when it first sends a token */
  constructor(make: (onAuthorised: () => void) => Promise<Client>) {
    this.#make = make;
  }

  /** @param call must end soon after `signal` aborts, because other calls may wait for it */
  async use<T>(signal: AbortSignal, call: (client: Client) => Promise<T>): Promise<T> {
    while (this.#ready === undefined) {
      signal.throwIfAborted();
      if (this.#first === undefined) return await this.#goFirst(call);
      await this.#first;
    }
    return await call(this.#ready);
  }

  async #goFirst<T>(call: (client: Client) => Promise<T>): Promise<T> {
    let release = (): void => {};
    this.#first = new Promise((resolve) => {
      release = resolve;
    });
    try {
      let client: Client | undefined;
      client = await this.#make(() => {
        this.#ready = client;
        release();
      });
      return await call(client);
    } finally {
      this.#first = undefined;
      release();
    }
  }
}
