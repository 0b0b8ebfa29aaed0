import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyContext } from "../../src/core/base/context.ts";
import { contextOfScope, scopeText } from "../../src/fields/scope.ts";
import { contexts, runs } from "../support/arbitraries.ts";
import { refusalCode } from "../support/refusal.ts";

test("a scope's text stands for one context", () => {
  fc.assert(
    fc.property(contexts, (context) => {
      const parsed = contextOfScope(scopeText(new KeyContext(context)));
      expect(new Map(Object.entries(parsed ?? {}))).toEqual(new Map(Object.entries(context)));
    }),
    runs(200, 50),
  );
});

test("any other text stands for none", () => {
  const text = scopeText(new KeyContext({ purpose: "fields", tenant: "acme" }));
  expect(contextOfScope(text)).toEqual({ purpose: "fields", tenant: "acme" });
  for (let at = 0; at < text.length; at++) expect(contextOfScope(text.slice(0, at) + text.slice(at + 1))).toBeUndefined();
  const swapped = Buffer.from(text, "base64url");
  swapped.set(Buffer.from([0, 6, ..."tenant", 0, 4, ..."acme"].map((part) => (typeof part === "string" ? part.charCodeAt(0) : part))), 2);
  for (const other of ["AA", "AAE", "AAAA", `${text}AAA`, swapped.toString("base64url"), "é"])
    expect(contextOfScope(other)).toBeUndefined();
  expect(contextOfScope("")).toEqual({});
});

test("a scope that no database would index is refused", async () => {
  expect(scopeText(new KeyContext({ tenant: "x".repeat(1012) }))).toHaveLength(1366);
  expect(await refusalCode(() => scopeText(new KeyContext({ tenant: "x".repeat(1013) })))).toBe("invalid-argument");
});
