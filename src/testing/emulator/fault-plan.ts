/** A page of a proxy, a load balancer or a broken service. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  /** The body in place of `text`, piece by piece. */
  readonly bytes?: readonly Uint8Array[];
  /** The number of bytes of the body after which the connection breaks; -1 for a break before the answer. */
  readonly cutAfterBytes?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An action during a request, after which the service answers as usual. */
export interface Meanwhile {
  meanwhile(): unknown;
}

/**
 * A fault common to all emulators. `reset`, `hang`, `cut` (an answer that breaks off), `endless` (one that never ends) and `garbage`
 * (a page that is no JSON) break the transport; `slow:2000` waits as many milliseconds, then answers as usual.
 */
export type CommonFault = TransportFault | `slow:${number}` | RawAnswer | Meanwhile;

export type TransportFault = "reset" | "hang" | "cut" | "endless" | "garbage";

export function isCommonFaultName(text: string): text is TransportFault | `slow:${number}` {
  return isTransportFault(text) || slownessOf(text) !== undefined;
}

export function isTransportFault(fault: unknown): fault is TransportFault {
  return typeof fault === "string" && TRANSPORT_FAULTS.has(fault);
}

/** Returns the milliseconds of a `slow` fault. */
export function slownessOf(fault: unknown): number | undefined {
  return typeof fault === "string" ? numberOf("slow", fault) : undefined;
}

/** Returns the number in `word:number`, of up to 7 digits. */
export function numberOf(word: string, text: string): number | undefined {
  const [, found, digits] = /^([a-z-]+):([0-9]{1,7})$/.exec(text) ?? [];
  return found === word && digits !== undefined ? Number(digits) : undefined;
}

/** The injected faults in the order they were given, each for the requests that its pattern matches. */
export class FaultPlan<Fault> {
  readonly #faults: { readonly fault: Fault; readonly on: RegExp; left: number }[] = [];

  /** @returns a function that drops the fault, as far as no request has met it */
  add(fault: Fault, on: RegExp, times: number): () => void {
    const planned = { fault, on, left: times };
    this.#faults.push(planned);
    return () => {
      const index = this.#faults.indexOf(planned);
      if (index >= 0) this.#faults.splice(index, 1);
    };
  }

  clear(): void {
    this.#faults.length = 0;
  }

  /** @param path `METHOD /path`, or another text by which the service distinguishes requests */
  take(path: string): Fault | undefined {
    const index = this.#faults.findIndex(({ on }) => on.test(path));
    const met = this.#faults[index];
    if (met === undefined) return undefined;
    met.left--;
    if (met.left < 1) this.#faults.splice(index, 1);
    return met.fault;
  }
}

const TRANSPORT_FAULTS: ReadonlySet<string> = new Set(["reset", "hang", "cut", "endless", "garbage"]);
