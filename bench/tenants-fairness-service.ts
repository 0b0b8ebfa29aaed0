import { VaultEmulator } from "envelock/testing/vault-emulator";

// A key service in a process of its own, started by bench/tenants-fairness-child.ts. The parent orders how the keys of its one mount fail.

const emulator = await VaultEmulator.start();
for (const name of (process.argv[2] ?? "").split(",")) emulator.createKey(name);
const { address, token } = emulator.connection;
process.send?.({ address, token, ca: emulator.ca });

const FAULTS = new Map<string, "hang" | "quota" | { readonly status: number; readonly text: string }>([
  ["hangs", "hang"],
  ["throttles", "quota"],
  ["huge", { status: 200, text: "x".repeat(65_000_000) }],
]);
process.once("message", ({ mode }: { readonly mode: string }) => {
  const fault = FAULTS.get(mode);
  if (fault !== undefined) emulator.failWhile(fault);
  process.send?.("done");
});
process.on("disconnect", () => process.exit(0));
