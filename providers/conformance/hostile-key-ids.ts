/** Makes key ids that resemble the KEK's `keyId` and that no KEK may own. A lookup without an exact comparison accepts one of them. */
export function hostileKeyIds(keyId: string): readonly string[] {
  return [...ANYWHERE, ...grownFrom(keyId), ...movedFrom(keyId)];
}

function grownFrom(keyId: string): readonly string[] {
  const tails = ["/", "/x", "/../x", "/..", "%2f..", "?x=1", "#x", ";x=1", "\\x", " ", "\n", "\0", "\ud800", "\u200b", "x".repeat(513)];
  return [...tails.map((tail) => keyId + tail), ` ${keyId}`, `x${keyId}`, `../${keyId}`, `\udc00${keyId}`];
}

/** The same path on another host, where the key id is a URL. */
function movedFrom(keyId: string): readonly string[] {
  const [, scheme, host, path] = URL_PARTS.exec(keyId) ?? [];
  if (scheme === undefined || host === undefined || path === undefined) return [];
  const hosts = ["attacker.example", `attacker.example\\@${host}`, `${host}@attacker.example`, `${host}.attacker.example`, `${host}:8443`];
  return [...hosts.map((moved) => `${scheme}//${moved}${path}`), `//${host}${path}`, `x-${scheme}//${host}${path}`, `${scheme}//${host}`];
}

const ANYWHERE = [
  "",
  "x",
  ".",
  "../x",
  "/",
  "\0",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  "undefined",
  "*",
  "k".repeat(513),
  "\u00e9".repeat(257), // 514 bytes of UTF-8 in fewer characters
  "\ud800",
  "x\udfff",
  "file:///etc/passwd",
  "http://127.0.0.1/keys/x",
  "https://attacker.example/keys/x/1",
  "pkcs11:token=x;object=x;id=%00",
] as const;
const URL_PARTS = /^([a-z][a-z0-9+.-]*:)\/\/([^/]+)(\/.*)$/;
