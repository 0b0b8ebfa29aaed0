import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { commandHint } from "../../src/cli/hints.ts";
import { installLine } from "../../src/cli/install-line.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { sourceFiles } from "../package/imports.ts";
import { ok, ROOT, run, scratch } from "./runner.ts";

// Mistakes that people make, and the next step that each message names. `@x` in an argument is the file x of the test's folder.

const { at, read, write } = scratch();
const secretHex = "ab".repeat(32);
const VAULT = "azure:https://acme.vault.azure.net";

beforeAll(async () => {
  await ok(["keygen", at("keys.json"), "--key-id", "v1"]);
  await ok(["keygen", at("other.json"), "--key-id", "o1"]);
  await ok(["keygen", at("same-name.json"), "--key-id", "v1"]);
  await ok(["keygen", at("pair.json"), "--type", "x25519", "--key-id", "p1"]);
  await ok(["keygen", at("pair.json"), "--public", "--out", at("pair.pub.json")]);
  await ok(["encrypt", write("plain.txt", "plain text"), "--key", at("keys.json"), "--out", at("good.envelock")]);
  await ok(["encrypt", at("plain.txt"), "--key", at("pair.pub.json"), "--out", at("pair.envelock")]);
  await ok(["keys", "rotate", "--store", `file:${at("store.json")}`, "--key", at("keys.json"), "--scope", "tenant=acme", "--create"]);
  const gone = ["--store", `file:${at("gone.json")}`, "--key", at("keys.json"), "--scope", "tenant=gone"];
  await ok(["keys", "rotate", ...gone, "--create"]);
  expect((await run(["keys", "shred", ...gone], Buffer.from("tenant=gone\n"))).exitCode).toBe(0);
  const stored = new TextDecoder().decode(read("store.json"));
  write("bad-row.json", stored.replace(/"record": "[^"]*"/, '"record": "00"'));
  const envelope = Buffer.from(read("good.envelock"));
  const keyset = new TextDecoder().decode(read("keys.json"));
  const files: Readonly<Record<string, string | Uint8Array>> = {
    empty: "",
    "one-byte": "x",
    "head-alone": envelope.subarray(0, 1),
    "half-header": envelope.subarray(0, 40),
    "cut.envelock": envelope.subarray(0, envelope.length - 5),
    "changed.envelock": Buffer.concat([envelope.subarray(0, -1), Buffer.of(1)]),
    "newer.envelock": Buffer.concat([envelope.subarray(0, 1), Buffer.of(9), envelope.subarray(2)]),
    "in-base64": envelope.toString("base64"),
    "in-hex": envelope.toString("hex"),
    token: `nA${"b".repeat(80)}`,
    "token-bytes": Uint8Array.of(0x9c, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    "key-record": Uint8Array.of(0x9d, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    pdf: "%PDF-1.7 x",
    zip: Buffer.from("PK\x03\x04\x14\x00", "latin1"),
    gzip: Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0),
    age: "age-encryption.org/v1\n-> X25519",
    pgp: "-----BEGIN PGP MESSAGE-----\n",
    openssl: Buffer.from("Salted__\xff\xfe\xfd\xfc", "latin1"),
    noise: Uint8Array.of(0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9),
    "hex-key": secretHex,
    "base64-key": Buffer.alloc(32, 7).toString("base64"),
    password: "correct horse battery staple",
    pem: "-----BEGIN PRIVATE KEY-----\nAAAA\n",
    jwk: '{"kty":"oct","k":"AAAA"}',
    "cut-keys": keyset.slice(0, 90),
    "no-primary": '{"keys":[]}',
    utf16: Buffer.from(`\ufeff${keyset}`, "utf16le"),
    "open.json": keyset,
    "bad-store.json": "{}",
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(at(name), content, { mode: 0o600 });
  chmodSync(at("open.json"), 0o666); // whatever the umask is
  mkdirSync(at("folder"));
  mkdirSync(at("photos"));
  symlinkSync("nowhere", at("dangling"));
  mkdirSync(at("d"));
});

type Mistake = readonly [args: string, said: RegExp, next: RegExp];

const INPUTS: readonly Mistake[] = [
  ["decrypt @empty --key @keys.json", /is empty/, /backup, or encrypt it again/],
  ["decrypt @one-byte --key @keys.json", /it looks like text/, /envelock encrypt/],
  ["decrypt @head-alone --key @keys.json", /ends within its header/, /cut short/],
  ["decrypt @half-header --key @keys.json", /malformed-envelope/, /backup/],
  ["decrypt @cut.envelock --key @keys.json", /authentication-failed|malformed-envelope/, /--context|backup/],
  ["decrypt @changed.envelock --key @keys.json", /authentication-failed/, /--context and --key-context/],
  ["decrypt @newer.envelock --key @keys.json", /unsupported-version/, /newer release/],
  ["decrypt @in-base64 --key @keys.json", /envelope in base64/, /base64 --decode/],
  ["decrypt @in-hex --key @keys.json", /envelope in hexadecimal/, /xxd -r -p/],
  ["decrypt @token --key @keys.json", /field token/, /application that holds its data key/],
  ["decrypt @token-bytes --key @keys.json", /field token/, /application that holds its data key/],
  ["decrypt @key-record --key @keys.json", /key record/, /envelock keys/],
  ["decrypt @plain.txt --key @keys.json", /looks like text/, /before encryption/],
  ["decrypt @pdf --key @keys.json", /PDF/, /before encryption/],
  ["decrypt @zip --key @keys.json", /ZIP/, /before encryption/],
  ["decrypt @gzip --key @keys.json", /gzip/, /before encryption/],
  ["decrypt @age --key @keys.json", /file of age/, /with age/],
  ["decrypt @pgp --key @keys.json", /OpenPGP/, /with gpg/],
  ["decrypt @openssl --key @keys.json", /openssl enc/, /with openssl/],
  ["decrypt @noise --key @keys.json", /first byte is not that of an envelope/, /right file/],
  ["decrypt @keys.json --key @good.envelock", /not a keyset: its bytes are not text/, /looks like an envelope/],
  ["inspect @noise", /not an envelope, header, key record or token/, /right file/],
  ["inspect @password", /looks like text/, /envelock encrypt/],
  ["inspect @keys.json", /looks like a keyset/, /--key/],
  ["inspect @empty", /is empty/, /backup/],
  ["rewrap @plain.txt --key @keys.json", /looks like text/, /envelock encrypt/],
  ["rewrap @folder --key @keys.json", /is a folder/, /--recursive/],
  ["encrypt @folder --key @keys.json", /directory/, /--recursive/],
  ["encrypt @plian.txt --key @keys.json", /no such file/, /did you mean plain\.txt\?/],
  ["encrypt @none/plain.txt --key @keys.json", /no such file/, /there is no folder/],
  ["encrypt @plain.txt/x --key @keys.json", /not a directory/, /part of it is a file/],
  ["encrypt @plain.txt --key @keys.json --out @none/x", /cannot write/, /a folder in it is not there/],
  ["encrypt @plain.txt --key @keys.json --out @good.envelock", /exists/, /--force/],
  ["encrypt @plain.txt --key @keys.json --out @folder", /is a folder/, /name a file in it/],
  ["decrypt @good.envelock --key @keys.json --range 999999-", /nothing of it/, /range below/],
  ["decrypt @good.envelock --key @keys.json --range=9-1", /no range/, /first and last byte/],
  ["encrypt @plain.txt --key @keys.json --lanes 99", /lanes/, /--lanes auto/],
  ["encrypt @plain.txt --key @keys.json --context tenant", /not key=value/, /object=reports/],
  ["encrypt @plain --key @keys.json", /no such file/, /did you mean plain\.txt\?/],
  ["encrypt @dangling --key @keys.json", /no such file/, /dangling is a link to what is not there/],
  ["encrypt @photso --key @keys.json", /no such file/, /has no such file/],
  ["encrypt --recursive @photso --key @keys.json", /no such file/, /did you mean photos\?/],
  ["inspect @photos", /directory/, /--recursive takes the files/],
  ["inspect", /standard input|missing/, /backup|--help/],
  ["rewrap --key @keys.json", /missing required argument 'files'/, /<files>: .*envelock rewrap --help/],
];

const KEYS: readonly Mistake[] = [
  ["decrypt @good.envelock", /--key <key>' is missing/, /envelock keygen keys\.json/],
  ["--kye", /unknown option '--kye'/, /: envelock --help lists the options$/m],
  ["keys list --bogus x", /unknown option '--bogus'/, /: envelock keys list --help lists the options$/m],
  ["dev azure-emulator --bogus", /unknown option '--bogus'/, /: envelock dev azure-emulator --help lists the options$/m],
  ["decrypt @good.envelock --kye @keys.json", /unknown option '--kye'/, /Did you mean --key\?/],
  ["decrypt @good.envelock --key @key.json", /no keyset/, /did you mean keys\.json\?/],
  ["decrypt @good.envelock --key @other.json", /no-matching-provider/, /envelock inspect/],
  ["decrypt @pair.envelock --key @pair.pub.json", /no-matching-provider: .* by its public half alone/, /name the whole keyset with --key/],
  ["decrypt @good.envelock --key @same-name.json", /authentication-failed/, /another key has this key id/],
  ["decrypt @good.envelock --key @x", /no keyset/, /has no such file/],
  ["decrypt @good.envelock --key @keys", /no keyset/, /did you mean keys\.json\?/],
  ["keygen @new.json --type aes", /argument 'aes' is invalid/, /did you mean aes-256\?/],
  ["keygen @new.json --type rsa", /argument 'rsa' is invalid/, /one of aes-256, x25519/],
  ["keygen @new.json --type=x2551", /argument 'x2551' is invalid/, /did you mean x25519\?/],
  ["keygen", /missing required argument 'keyset'/, /<keyset>: the keyset file; envelock keygen --help/],
  ["keygen @a.json @b.json", /too many arguments/, /quote a name that holds spaces; envelock keygen --help/],
  ["keygen @none/k.json", /no such file or folder/, /a folder on the way to it/],
  ["keygen @folder", /is a folder/, /name a file in it/],
  ["keygen @keys.json --add --key-id v1", /called "v1"/, /another --key-id/],
  ["keygen @new.json --key-id=", /a key id has 1 to 512 bytes/, /give --key-id a name/],
  ["decrypt @good.envelock --key @hex-key", /hexadecimal/, /put a bare key into a keyset/],
  ["decrypt @good.envelock --key @base64-key", /base64/, /put a bare key into a keyset/],
  ["decrypt @good.envelock --key @password", /not JSON/, /envelock keygen/],
  ["decrypt @good.envelock --key @pem", /PEM/, /envelock keygen/],
  ["decrypt @good.envelock --key @jwk", /one JSON Web Key/, /a keyset is/],
  ["decrypt @good.envelock --key @empty", /is empty/, /envelock keygen/],
  ["decrypt @good.envelock --key @cut-keys", /cut short or damaged/, /backup/],
  ["decrypt @good.envelock --key @no-primary", /names its primary/, /add "primary"/],
  ["decrypt @good.envelock --key @utf16", /UTF-16/, /UTF-8/],
  ["decrypt @good.envelock --key @open.json", /mode 666/, /chmod 600/],
  ["decrypt @good.envelock --key @folder", /neither a file nor a pipe/, /name the file/],
  [`decrypt @good.envelock --key ${secretHex}`, /looks like a key itself/, /count it as disclosed/],
  ["decrypt @good.envelock --key kms:x", /no kind of key/, /azure:URL/],
  ["decrypt @good.envelock --key env:NO_SUCH_NAME", /not set/, /export NO_SUCH_NAME/],
  ["decrypt @good.envelock --key env:", /env: names no variable/, /env:NAME/],
  ["decrypt @good.envelock --key pkcs11:", /label or a serial/, /envelock hsm list/],
  ["decrypt @good.envelock --key", /argument missing/, /--key <key>: a keyset that can unwrap/],
  ["decrypt @good.envelock --key pkcs11:token=x", /PKCS#11 library/, /ENVELOCK_PKCS11_MODULE/],
  ["keygen @keys.json", /exists/, /--add/],
  ["keygen @pair.json --set-primary --key-id none", /has no key/, /"kid"/],
  ["keygen @keys.json --set-primary", /goes with --add/, /--key-id/],
  ["keygen @keys.json --public", /no public half/, /--help|x25519/],
];

const VAULTS: readonly Mistake[] = [
  [`decrypt @good.envelock --key azure:acme/orders`, /URL/, /does not begin with https/],
  [`decrypt @good.envelock --key azure:http://acme.vault.azure.net/keys/orders`, /URL/, /http:, not https:/],
  [`decrypt @good.envelock --key ${VAULT}`, /URL/, /path is missing/],
  [`decrypt @good.envelock --key ${VAULT}/key/orders`, /URL/, /begins with \/key, not with \/keys/],
  [`decrypt @good.envelock --key ${VAULT}/keys/or_ders`, /URL/, /letters, digits and hyphens/],
  [`decrypt @good.envelock --key ${VAULT}/keys/orders/v1`, /URL/, /32 hex digits/],
  [`decrypt @good.envelock --key ${VAULT}/keys/orders/`, /URL/, /slash at its end/],
  [`decrypt @good.envelock --key ${VAULT}/keys/orders?x=1`, /URL/, /query/],
  [`decrypt @good.envelock --key azure:https://me:hunter2@acme.vault.azure.net/keys/orders`, /URL/, /user in it/],
  [`decrypt @good.envelock --key azure:https://acme.vault.azure.com/keys/orders`, /no vault of a known cloud/, /--allow-host/],
];

const STORES: readonly Mistake[] = [
  ["keys list", /--store <store>' is missing/, /postgres:/],
  ["keys list --store @store.json", /no kind of store/, /did you mean file:/],
  ["keys list --store file:@stroe.json", /there is no file/, /did you mean store\.json\?/],
  ["keys list --store file:@keys.json", /no file of data keys/, /a keyset goes to --key/],
  ["keys list --store file:@bad-store.json", /no file of data keys/, /application keeps its data keys/],
  ["keys list --store psotgres://me:hunter2@db/x", /no kind of store/, /did you mean postgres:\?/],
  ["keys list --store postgres://nobody@127.0.0.1:1/none", /unavailable/, /run it again/],
  ["keys rotate --store file:@store.json --key @keys.json --scope tenant=acm", /no data key of the scope/, /did you mean tenant=acme\?/],
  ["keys shred --store file:@store.json --key @keys.json --scope tenant=x", /no data key of the scope/, /keys list/],
  ["keys shred --store file:@store.json --key @keys.json", /name the scope/, /keys list/],
  ["keys prove --store file:@store.json --key @keys.json --concurrency 0", /--concurrency/, /leave it out/],
  ["keys verify --store file:@store.json --key @keys.json --concurrency 0", /--concurrency/, /leave it out/],
  ["frobnicate", /unknown command/, /envelock --help/],
  ["completion tcsh", /'tcsh' is invalid/, /one of bash, zsh, fish/],
  ["completion basj", /'basj' is invalid/, /did you mean bash\?/],
  ["completion", /missing required argument 'shell'/, /<shell>: which shell/],
  ["keys lst", /unknown command 'lst'/, /Did you mean list\?/],
  ["keys frobnicate", /unknown command/, /: envelock keys --help lists the verbs/],
  ["dev frobnicate", /unknown command/, /: envelock dev --help lists the verbs/],
  ["doctor --azure x --vault y", /cannot be used with/, /give one of the two/],
  ["doctor --azure", /argument missing/, /--azure <keyUrl>: a key in Azure/],
  ["keys list --store file:@bad-row.json", /malformed-envelope: .* version 1/, /backup of the table/],
  ["keys list --store file:@d.json", /there is no file/, /has no such file/],
  ["keys list --store sqlite:@store.db", /there is no file/, /has no such file .*an empty database is never made/],
  ["keys list --store sqlite:@stroe.json", /there is no file/, /has no such file/],
  [`keys rewrap --store file:@store.json --key @keys.json --checkpoint @none/x`, /no such file or folder/, /a folder on the way/],
  ["keys rotate --store file:@gone.json --key @keys.json --scope tenant=gone", /key-shredded/, /give --scope another name/],
  ["doctor", /invalid-argument: .*(needs|missing)/, /--azure|--help/],
  ["dev azure-emulator --port x", /port "x"/, /leave --port out/],
  ["dev azure-emulator --port 0x10", /port "0x10"/, /leave --port out/],
  ["keys verify --store file:@store.json --key @keys.json --concurrency 1e2", /1 to 256, not "1e2"/, /leave it out for 8/],
  ["jobs plan rewrap --partitions 0x10", /1 to 4096, not "0x10"/, /leave it out/],
  ["encrypt --key @keys.json --parallel 1e1 a b", /1 to 64, not "1e1"/, /leave it out for 4/],
  ["encrypt --key @keys.json --lanes 0x2 a", /1 to 64, not "0x2"/, /--lanes auto/],
];

describe.each([
  ["an input", INPUTS],
  ["a key", KEYS],
  ["a vault's URL", VAULTS],
  ["a store or a verb", STORES],
] as const)("a mistake with %s", (_what, mistakes) => {
  test.each(mistakes)("%s", async (args, said, next) => {
    const given = args
      .split(" ")
      .map((arg) => arg.replace("@", arg.startsWith("azure:") ? "@" : `${at("")}/`).replace("//", arg.includes("://") ? "//" : "/"));
    const { PATH = "" } = process.env;
    const { exitCode, stderr, stdout } = await run(given, undefined, { env: { PATH } });
    expect(exitCode).toBeGreaterThan(0);
    // the sum of a batch, or a list in which one row is bad
    expect(Buffer.from(stdout).toString()).toMatch(/^(?:1 failed\n|scope .*\n.*\n)?$/);
    expect(stderr).toMatch(said);
    expect(stderr.split("\n").find((line) => line.startsWith("hint: "))).toMatch(next);
    expect(stderr).not.toMatch(/hunter2|unexpected/);
    expect(stderr).not.toContain(secretHex.slice(5, 30));
  });
});

describe("a hint of the library", () => {
  const literals = ["src/core", "src/fields", "src/stores", "src/node", "providers"]
    .flatMap(sourceFiles)
    .flatMap((path) => [...readFileSync(join(ROOT, path), "utf8").matchAll(/hint: (?:"((?:[^"\\]|\\.)*)"|'([^']*)')/g)])
    .map(([, double, single]) => double ?? single ?? "");

  test("is said in options of the command, never in names of the API", () => {
    expect(literals.length).toBeGreaterThan(30);
    const inApi = literals.filter((hint) =>
      /\b(?!pin|label)[a-z]+[A-Z][a-z]\w*\b|\(\)|: true\b|: "/.test(commandHint({ code: "invalid-argument", message: "", hint }) ?? ""),
    );
    expect(inApi).toEqual([]);
  });

  test.each(["postgresUpgrades", "sqliteUpgrades"])("about a table without proofs (%s) names the verb that writes them", (name) => {
    const hint = `bring the table to this release with \`migrate()\`, or run what \`${name}()\` gives`;
    expect(commandHint({ code: "provider-failure", message: "the database failed", hint })).toMatch(/column `proof`.*envelock keys prove/);
  });

  test("never is missing where an error has a code alone", () => {
    for (const code of ["malformed-envelope", "key-not-found", "access-denied", "unavailable", "timeout", "provider-failure"] as const) {
      expect(commandHint(new EnvelockError(code, "something"))).toMatch(/./);
    }
  });
});

describe("the line that installs a package", () => {
  const { folder } = scratch();
  const program = (...parts: readonly string[]): string => {
    const path = join(folder, ...parts, "dist");
    mkdirSync(path, { recursive: true });
    return join(path, "cli.js");
  };

  test("is for where the command is: a project, npm's global prefix, npx", () => {
    mkdirSync(join(folder, "project"), { recursive: true });
    writeFileSync(join(folder, "project/package.json"), "{}");
    expect(installLine("pg", program("project/node_modules/envelock"))).toBe("npm install pg");
    expect(installLine("pg", program("prefix/lib/node_modules/envelock"))).toBe("npm install --global pg");
    expect(installLine("pg", program("home/.npm/_npx/1a2b/node_modules/envelock"))).toBe("npx --package envelock --package pg envelock …");
    expect(installLine("pg", "/work/clone/dist/cli.js")).toBe("npm install pg");
  });
});
