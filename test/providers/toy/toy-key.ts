import type { ConformanceHarness } from "../../../providers/conformance/index.ts";
import { EnvelockError, type ErrorCode } from "../../../src/core/base/errors.ts";
import { WRAP_ALGORITHMS } from "../../../src/core/contracts/algorithms.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { RoundTrips } from "../../../src/core/contracts/round-trips.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";
import { ONE_WAY_KEY, ToyFailure, type ToyKeyService } from "./toy-key-service.ts";

/** A provider that keeps every rule: what each mutant differs from. */
export function toyKey(service: ToyKeyService, key: string): SoundProvider {
  const isOpen = openness();
  const roundTrips = new RoundTrips();
  let latest: number | undefined;
  const currentVersion = async (signal: AbortSignal | undefined): Promise<number> => {
    latest ??= await translated(service.latest(key, signal));
    return latest;
  };
  return {
    name: TOY,
    owns: (keyId) => toyVersion(key, keyId) !== undefined,
    async wrap(dek, { wrapAad, signal }) {
      isOpen.check();
      signal?.throwIfAborted();
      const version = await currentVersion(signal);
      const keyId = toyKeyId(key, version);
      await roundTrips.prove(keyId, async (trial) => {
        const given = await translated(service.encrypt(key, version, wrapAad(keyId), trial, signal));
        return await translated(service.decrypt(key, version, wrapAad(keyId), given, signal));
      });
      const wrapped = await translated(service.encrypt(key, version, wrapAad(keyId), dek, signal));
      return { provider: TOY, keyId, alg: WRAP_ALGORITHMS.xaes256Gcm, wrapped };
    },
    async unwrap({ keyId, alg, wrapped }, { wrapAad, signal }) {
      isOpen.check();
      signal?.throwIfAborted();
      const version = toyVersion(key, keyId);
      if (version === undefined || alg !== WRAP_ALGORITHMS.xaes256Gcm) throw toyRejected();
      return await translated(service.decrypt(key, version, wrapAad(keyId), wrapped, signal));
    },
    async current({ signal } = {}) {
      isOpen.check();
      signal?.throwIfAborted();
      return toyKeyId(key, await currentVersion(signal));
    },
    async close() {
      isOpen.end();
    },
  };
}

/** With everything that a provider may leave out. */
export type SoundProvider = Required<KeyProvider>;

const TOY = "toy";

export function toyKeyId(key: string, version: number): string {
  return `toy://keys.example/${key}/${version}`;
}

/** The version that a key id names, if it is one of `key`. */
export function toyVersion(key: string, keyId: string): number | undefined {
  const version = Number(keyId.slice(toyKeyId(key, 0).length - 1));
  return Number.isSafeInteger(version) && version > 0 && toyKeyId(key, version) === keyId ? version : undefined;
}

export function toyRejected(cause?: unknown): EnvelockError {
  return new EnvelockError("unwrap-rejected", "the toy key did not wrap this data key", { cause });
}

/** The service's answer, its failures in our codes. */
export async function translated<T>(answer: Promise<T | undefined>): Promise<T> {
  try {
    const given = await answer;
    if (given === undefined) throw new EnvelockError(EMPTY_ANSWER, "the toy service answered nothing");
    return given;
  } catch (cause) {
    if (!(cause instanceof ToyFailure)) throw cause;
    if (cause.status === 400) throw toyRejected(cause);
    throw new EnvelockError(CODE_BY_STATUS[cause.status] ?? "provider-failure", `the toy service answered ${cause.status}`, { cause });
  }
}

function openness(): { check(): void; end(): void } {
  let isClosed = false;
  return {
    check() {
      if (isClosed) throw new EnvelockError("closed", "this toy key has been closed");
    },
    end() {
      isClosed = true;
    },
  };
}

/** A harness on a service of its own, for the sound provider or for a mutant of it. */
export function toyHarness(
  service: ToyKeyService,
  open: (service: ToyKeyService, key: string) => KeyProvider = toyKey,
): ConformanceHarness {
  service.addVersion("orders");
  service.addVersion("invoices");
  service.addVersion(ONE_WAY_KEY);
  return {
    bindsContext: true,
    hostileKeyIds: ["toy://keys.example/orders/0", "toy://keys.example/orders/01", "toy://keys.example/orders/1e0"],
    secrets: service.secrets("orders"),
    failures: {
      ...Object.fromEntries(Object.entries(CODE_BY_STATUS).map(([status, code]) => [code, () => service.failNext(Number(status))])),
      [EMPTY_ANSWER]: { hasCause: false, fail: () => service.emptyNext() },
    },
    maxCalls: { wrap: 1, unwrap: 1, current: 0 },
    open: () => open(service, "orders"),
    openOther: () => open(service, "invoices"),
    openOneWay: () => open(service, ONE_WAY_KEY),
    rotate: () => service.addVersion("orders"),
    expire: (keyId) => service.expire("orders", toyVersion("orders", keyId) ?? 0),
    calls: () => service.calls,
    hold: () => service.holdNext(),
    withEmptyEnvironment,
  };
}

const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: "access-denied",
  403: "key-disabled",
  404: "key-not-found",
  429: "rate-limited",
  500: "provider-failure",
  503: "unavailable",
};

/** The code for an answer that is no error of the service, and holds nothing. */
export const EMPTY_ANSWER = "timeout";

export const TOY_CODES: readonly ErrorCode[] = Object.values(CODE_BY_STATUS);
