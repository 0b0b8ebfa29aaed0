import { expect, test } from "vitest";
import { refused, scratch } from "./runner.ts";

const { at, names, write } = scratch();

test.each([
  "azure:",
  "azure:orders",
  "azure:http://acme.vault.azure.net/keys/orders",
  "azure:https://attacker.example/keys/orders",
  "AZURE:https://acme.vault.azure.net/keys/orders/latest",
])("--key %s is no key of Azure: nothing is asked for and nothing written", async (key) => {
  const plain = write("plain", new TextEncoder().encode("x"));
  await refused(1, "invalid-argument", ["encrypt", plain, "--key", key, "--out", at("envelope")]);
  expect(names()).toEqual(["plain"]);
});
