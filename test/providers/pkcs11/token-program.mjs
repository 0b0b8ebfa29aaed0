// What test/providers/pkcs11/third-tokens.test.ts runs beside a token: a line of JSON for each thing that it tried.
import { execFileSync } from "node:child_process";
import { closeSync, fstatSync, openSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import pkcs11js from "pkcs11js";

const [, , dist, module, kind] = process.argv;
const [{ pkcs11Key, pkcs11Token }, { conformance }] = await Promise.all([
  import(`${dist}/providers/pkcs11.js`),
  import(`${dist}/providers/conformance.js`),
]);
const PIN = "1234test";
const location = { module, token: { label: "soft" }, pin: () => PIN };
const OPTIONS = { keyContext: {}, wrapAad: () => new Uint8Array(8) };
const DEK = new Uint8Array(32).fill(7);

async function tried(name, run) {
  const failure = await Promise.resolve()
    .then(run)
    .then(
      () => undefined,
      (error) => `${error.code ?? ""} ${error.detail ?? ""} ${error.message}`,
    );
  console.log(JSON.stringify({ name, failure }));
}

function demand(holds, what) {
  if (!holds) throw new Error(what);
}

/** With pkcs11js alone, as another program would. The library stays initialised. */
function makeToken() {
  const library = new pkcs11js.PKCS11();
  library.load(module);
  library.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
  const [slot] = library.C_GetSlotList(true);
  library.C_InitToken(slot, "87654321", "soft".padEnd(32));
  const session = library.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
  library.C_Login(session, pkcs11js.CKU_SO, "87654321");
  library.C_InitPIN(session, "1234tst");
  library.C_Logout(session);
  library.C_Login(session, pkcs11js.CKU_USER, "1234tst");
  library.C_SetPIN(session, "1234tst", PIN); // the security officer's is expired
  library.C_CloseSession(session);
  library.C_Finalize();
}

const stop = () => execFileSync("sh", ["-c", "kill $(cat /run/pkcsslotd.pid 2>/dev/null || pidof pkcsslotd)"]);
const start = () => execFileSync("/usr/sbin/pkcsslotd");
const keyOf = (label, more) => pkcs11Key({ ...location, key: { label }, ...more });
const codeOf = async (run) =>
  await run().then(
    () => "nothing",
    ({ code, detail }) => `${code} ${detail}`,
  );

if (kind === "opencryptoki") makeToken();
const token = pkcs11Token(location);

await tried("the self-test finds RSA-OAEP alone", async () => {
  const results = await token.selfTest();
  const working = results.filter(({ failure }) => failure === undefined).map(({ mechanism }) => mechanism);
  demand(working.join() === "rsa-oaep-256,rsa-oaep-sha1", JSON.stringify(results));
  demand((await token.keys()).length === 0, "it left keys");
});

await tried("an AES key that could not be used is not made", async () => {
  const outcome = await codeOf(() => token.generateKey({ type: "aes-256", label: "useless" }));
  demand(outcome === "provider-failure mechanism", outcome);
  demand((await token.keys()).length === 0, "it is there");
});

await token.generateKey({ type: "rsa-2048", label: "orders" });
await token.generateKey({ type: "rsa-2048", label: "invoices" });
for (const { name, run } of conformance({
  bindsContext: false,
  alsoUnwraps: [8],
  flips: "each-byte",
  secrets: [Buffer.from(PIN)],
  open: () => keyOf("orders"),
  openOther: () => keyOf("invoices"),
  rotate: async () => void (await token.generateKey({ type: "rsa-2048", label: "orders" })),
})) {
  await tried(`conformance: ${name}`, run);
}
await token.close();

if (kind === "tpm") process.exit(0);

await tried("a wrong PIN, and another, do not lock the token", async () => {
  const outcomes = [];
  for (const pin of ["0000000a", "0000000a", "0000000b", "0000000c", "0000000d"]) {
    const key = keyOf("orders", { pin: () => pin });
    outcomes.push(await codeOf(() => key.wrap(DEK, OPTIONS)));
    await key.close();
  }
  const expected = [
    "access-denied pin",
    "access-denied pin",
    "access-denied pin",
    "access-denied pin-last-try",
    "access-denied pin-last-try",
  ];
  demand(outcomes.join() === expected.join(), outcomes.join());
  const key = keyOf("orders", { dangerLastPinTry: true });
  await key.wrap(DEK, OPTIONS);
  await key.close();
});

await tried("an outage of the daemon is one, and passes", async () => {
  const key = keyOf("orders");
  const recipient = await key.wrap(DEK, OPTIONS);
  await key.close();
  stop();
  await setTimeout(200);
  const during = keyOf("orders");
  const outcome = await during.unwrap(recipient, OPTIONS).then(
    () => "opened",
    ({ code, retryable }) => `${code} ${retryable}`,
  );
  demand(["opened", "unavailable true"].includes(outcome), outcome);
  start();
  await setTimeout(200);
  demand(Buffer.from(await during.unwrap(recipient, OPTIONS)).equals(DEK), "another data key");
  await during.close();
});

await tried("no file descriptor of another is closed, also in a thread after use in this one", async () => {
  const files = Array.from({ length: 64 }, () => openSync("/dev/null", "r"));
  for (const thread of [false, true, false, true]) {
    const key = keyOf("orders", { thread });
    await key.wrap(DEK, OPTIONS);
    await key.close();
  }
  for (const file of files) fstatSync(file);
  for (const file of files) closeSync(file);
});
