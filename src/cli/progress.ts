/** Shows how far a long piece of work has come, on one line of a terminal that it cleans up after itself. */
export interface Progress {
  readonly onProgress: (done: number) => void;
  end(): void;
}

/** What is needed of standard error. */
interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/**
 * A progress bar on standard error, if that is a terminal and the work takes longer than a moment.
 *
 * @param total undefined if nobody knows
 * @param text what so much is called; bytes unless told otherwise
 */
export function progressOn(
  stream: Terminal,
  total: number | undefined,
  clockMs = (): number => performance.now(),
  text: (amount: number) => string = sizeText,
): Progress {
  if (stream.isTTY !== true) return { onProgress: () => undefined, end: () => undefined };
  const startMs = clockMs();
  let shownMs = startMs;
  return {
    onProgress(done) {
      const nowMs = clockMs();
      if (nowMs - shownMs < EVERY_MS) return;
      shownMs = nowMs;
      stream.write(`\r${progressText(done, total, nowMs - startMs, stream.columns, text)}${CLEAR_REST}`);
    },
    end() {
      if (shownMs > startMs) stream.write(`\r${CLEAR_REST}`);
    },
  };
}

/** A line of a terminal that is written anew, and cleaned up at the end. Nothing if standard error is none. */
export function lineOn(stream: Terminal): { show(text: (columns: number) => string): void; end(): void } {
  let isShown = false;
  return {
    show(text) {
      if (stream.isTTY !== true) return;
      isShown = true;
      stream.write(`\r${text(stream.columns ?? 80)}${CLEAR_REST}`);
    },
    end() {
      if (isShown) stream.write(`\r${CLEAR_REST}`);
    },
  };
}

/** Begins to show the progress of a file, whose length may not be known. */
export type ProgressOf = (sizeBytes: number | undefined) => Progress;

/** A bar for a file that is worked on alone. */
export const barOf: ProgressOf = (sizeBytes) => progressOn(process.stderr, sizeBytes);

/** The share of one file in the bar of a batch. */
export function partOf(onProgress: (doneBytes: number) => void): ProgressOf {
  return () => ({ onProgress, end: () => undefined });
}

/** One line of at most `columns`: a bar and the time left if the total is known, else what was done and how fast. */
export function progressText(
  done: number,
  total: number | undefined,
  elapsedMs: number,
  columns = 80,
  text: (amount: number) => string = sizeText,
): string {
  const perMs = elapsedMs > 0 ? done / elapsedMs : 0;
  const speed = `${text(perMs * 1000)}/s`;
  if (total === undefined || total === 0) return `${text(done)}  ${speed}`.slice(0, columns - 1);
  const share = Math.min(1, done / total);
  const left = perMs > 0 ? timeText(Math.max(0, total - done) / perMs) : "?";
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  const figures = `${percent} %  ${text(done)} of ${text(total)}  ${speed}  ${left} left`;
  const room = Math.min(MAX_BAR, columns - figures.length - 5);
  if (room < MIN_BAR) return figures.slice(0, columns - 1);
  return `[${"#".repeat(Math.floor(share * room)).padEnd(room)}]  ${figures}`;
}

function sizeText(bytes: number): string {
  let unit = 0;
  let size = bytes;
  for (; size >= 1000 && unit < UNITS.length - 1; unit++) size /= 1000;
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

function timeText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number): string => `${value}`.padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const EVERY_MS = 100;
const CLEAR_REST = "\x1b[K";
const UNITS: readonly string[] = ["B", "kB", "MB", "GB", "TB", "PB"];
const MAX_BAR = 30;
const MIN_BAR = 8;
