import { engine } from "#engine";
import type { Clock } from "../base/clock.ts";
import type { Context } from "../base/context.ts";
import { EnvelockError, type ErrorCode } from "../base/errors.ts";
import { quietly } from "../base/quietly.ts";
import type { TenantLabel } from "../base/tenant-label.ts";
import type {
  DataKeyOrigin,
  KeyringEvent,
  KeyVersion,
  OperationEvent,
  OperationName,
  Outcome,
  ProviderCall,
  ProviderCallEvent,
  TenantEvent,
} from "./events.ts";

/** The receiver of spans and metrics, such as `openTelemetry()` of `envelock/open-telemetry`. */
export interface Telemetry {
  /**
   * Runs `run` with a span around it, which is active while it runs.
   *
   * @param run calls `finish` once with the end event, then settles
   */
  span<T>(name: SpanName, run: (finish: (event: SpanEvent) => void) => Promise<T>): Promise<T>;

  /** Receives every event, also those that end a span. */
  record(event: KeyringEvent): void;
}

export type SpanName = `envelock.${OperationName | ProviderCall}`;

export type SpanEvent = OperationEvent | ProviderCallEvent;

/** A call in flight, as its observer sees it. */
export interface ObservedOperation {
  /** Collects what the observer reports when the call ends. Undefined without listeners. */
  report: OperationReport | undefined;
  /** Whether the caller's signal ended it. */
  readonly aborted: boolean;
}

/** The facts that a call collects about itself on its way. */
export interface OperationReport {
  bytes: number;
  dataKey: DataKeyOrigin | undefined;
  dataKeyAgeMs: number;
  keys: readonly KeyVersion[];
}

/** Reports to the listeners of one keyring. A keyring without listeners has no observer, so that it has no cost. */
export class Observer {
  readonly #clock: Clock;
  readonly #onEvent: ((event: KeyringEvent) => void) | undefined;
  readonly #telemetry: Telemetry | undefined;
  readonly #label: TenantEvent | undefined;

  constructor(
    clock: Clock,
    onEvent: ((event: KeyringEvent) => void) | undefined,
    telemetry: Telemetry | undefined,
    tenant: TenantLabel | undefined,
  ) {
    this.#clock = clock;
    this.#onEvent = onEvent;
    this.#telemetry = telemetry;
    this.#label = tenant && { tenant: tenant.id, ...(tenant.generation !== undefined && { generation: tenant.generation }) };
  }

  /** Runs one call of a keyring's method. */
  operation<T>(name: OperationName, operation: ObservedOperation, keyContext: Context, run: () => Promise<T>): Promise<T> {
    const report: OperationReport = { bytes: 0, dataKey: undefined, dataKeyAgeMs: 0, keys: [] };
    operation.report = report;
    return this.timed(`envelock.${name}`, operation, run, (outcome, durationMs) => {
      return { type: "operation", operation: name, outcome, durationMs, ...report, keyContext, engine: engine.info().name };
    });
  }

  /** Runs `run` in a span, and emits the event that `eventOf` makes of its end. */
  timed<T>(
    name: SpanName,
    operation: ObservedOperation,
    run: () => Promise<T>,
    eventOf: (outcome: Outcome, durationMs: number) => SpanEvent,
  ): Promise<T> {
    const observed = async (finish?: (event: SpanEvent) => void): Promise<T> => {
      const startedAt = this.#clock.monotonicMs();
      const end = (outcome: Outcome): void => {
        const event = { ...eventOf(outcome, this.#clock.monotonicMs() - startedAt), ...this.#label };
        quietly(() => finish?.(event));
        this.#tell(event);
      };
      try {
        const value = await run();
        end("ok");
        return value;
      } catch (error) {
        end(operation.aborted ? "aborted" : errorCodeOf(error));
        throw error;
      }
    };
    return this.#telemetry === undefined ? observed() : inSpan(this.#telemetry, name, observed);
  }

  /** Emits an event. A listener that throws or rejects changes nothing for others. */
  emit(event: KeyringEvent): void {
    this.#tell({ ...event, ...this.#label });
  }

  #tell(event: KeyringEvent): void {
    quietly(() => this.#onEvent?.(event));
    quietly(() => this.#telemetry?.record(event));
  }
}

/** Runs work in a span. A span that fails, or that runs nothing, keeps no work from being done. */
async function inSpan<T>(telemetry: Telemetry, name: SpanName, run: (finish?: (event: SpanEvent) => void) => Promise<T>): Promise<T> {
  let running: Promise<T> | undefined;
  const started = (finish: (event: SpanEvent) => void): Promise<T> => {
    running ??= run(finish);
    return running;
  };
  try {
    await telemetry.span(name, started);
  } catch {
    // the work's own failure comes below
  }
  return await (running ?? run());
}

export function errorCodeOf(error: unknown): ErrorCode {
  return error instanceof EnvelockError ? error.code : "provider-failure";
}
