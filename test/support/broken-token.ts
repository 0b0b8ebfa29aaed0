/** Returns a token with another end. A fixed end would be its own once in some thousand tokens. */
export function brokenToken(token: string): string {
  return `${token.slice(0, -2)}${token.endsWith("AA") ? "BA" : "AA"}`;
}
