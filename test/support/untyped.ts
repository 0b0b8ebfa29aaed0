/** What a caller without types may pass where a `T` belongs. */
export function untyped<T>(value: unknown): T {
  return JSON.parse("null", () => value);
}

/** A proxy that throws whatever is asked of it. */
export function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
