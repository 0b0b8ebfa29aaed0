/** Time, as it is handed in. */
export interface Pkcs11Clock {
  /** Unix time in milliseconds. */
  now(): number;
}

/** The machine's. The dates of keys are compared with it. */
export const systemClock: Pkcs11Clock = { now: () => Date.now() };
