/** Whether a value is a date, of this realm or of another, such as that of a test runner, a frame or a driver. */
export function isDate(value: unknown): value is Date {
  return timeOf(value) !== undefined;
}

/** Milliseconds since 1970, NaN for an invalid date; undefined for what is no date. Reads the slot that each date has, and no property. */
export function timeOf(value: Date): number;
export function timeOf(value: unknown): number | undefined;
export function timeOf(value: unknown): number | undefined {
  try {
    return Reflect.apply(Date.prototype.getTime, value, []);
  } catch {
    return undefined;
  }
}
