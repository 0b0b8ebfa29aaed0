import type { EnvelockError, ErrorCode } from "../core/base/errors.ts";
import { installLine } from "./install-line.ts";

/**
 * The next step, as a person at a shell can take it. The library's own hints name its options and functions; here each of them is
 * said in options of the command.
 */
export function commandHint({ code, message, hint }: Pick<EnvelockError, "code" | "message" | "hint">): string | undefined {
  const forMessage = HINT_BY_MESSAGE.find(([pattern]) => pattern.test(message));
  if (forMessage !== undefined) return forMessage[1];
  const forCode = HINT_BY_CODE[code];
  if (forCode !== undefined) return forCode;
  if (hint === undefined) return FALLBACK_BY_CODE[code];
  const [, packages, rest = ""] = /^npm install ((?:@?[\w./-]+ ?)+)(.*)$/s.exec(hint) ?? [];
  if (packages !== undefined) return `${installLine(WITH_OTHERS[packages.trim()] ?? packages.trim())}${rest}`;
  return HINTS.find(([pattern]) => pattern.test(hint))?.[1] ?? hint;
}

// Codes that always mean the same at a shell.
const HINT_BY_CODE: Partial<Record<ErrorCode, string>> = {
  "authentication-failed":
    "give --context and --key-context exactly as at encryption; if they are right, another key has this key id, or the data was changed",
  "no-matching-provider": "`envelock inspect` shows which key ids can open it; name a keyset that holds one of them with --key",
  "unsupported-version": "a newer release of envelock may have written this",
};

const HINT_BY_MESSAGE: readonly (readonly [said: RegExp, meant: string])[] = [
  [
    /the metadata server of google cloud/,
    "outside Google Cloud write a token into a file that CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names: gcloud auth print-access-token > token",
  ],
  [/^there is no blob /, "`envelock blobs list <store>` shows what is there"],
  [/is no file of data keys/, "name the file in which the application keeps its data keys; a keyset goes to --key"],
  [/by its public half alone/, "name the whole keyset with --key where data is decrypted: what was given is its public half"],
  [/two keys .*are called/, "give another --key-id, or leave it out: a fresh one is made"],
  [/a key id has 1 to/, "give --key-id a name, such as orders-2026; or leave it out: one is made"],
  [/data keys of this scope were shredded/, "a shredded scope stays shredded; give --scope another name for new data"],
  [/needs a label or a serial/, "name the token in the URI, such as pkcs11:token=<label>;object=<key>; `envelock hsm list` shows them"],
  [/the keyset has no key/, 'the key ids are the members "kid" of the keyset file'],
];

// What is of no use without another package.
const WITH_OTHERS: Readonly<Record<string, string>> = {
  "@azure/keyvault-keys": "@azure/identity @azure/keyvault-keys",
  "@azure/keyvault-secrets": "@azure/identity @azure/keyvault-secrets",
};

// Codes that come without a hint.
const FALLBACK_BY_CODE: Partial<Record<ErrorCode, string>> = {
  "malformed-envelope": "compare it with a backup; `envelock inspect` shows how much of it can be read",
  "key-not-found": "check the name; it may have been moved, renamed or deleted",
  "key-disabled": "enable the key version where it is kept",
  "access-denied": "check who runs the command, and what that user or identity may do",
  "rate-limited": "wait a moment and run it again",
  unavailable: "check the address and that the service runs, and run it again; --debug shows what the system said",
  timeout: "run it again; --debug shows what was waited for",
  "invalid-argument": "`envelock <command> --help` says what is taken",
  "provider-failure": "--debug shows what the backend said",
  "key-shredded": "what this data key encrypted cannot be read again",
};

/** What the library says, and what it means here. */
const HINTS: readonly (readonly [said: RegExp, meant: string])[] = [
  [/overwrite|`replace: true`/, "--force replaces it"],
  [
    /Upgrades\(\)/,
    "the table is of an earlier release and may lack the column `proof`; the application brings it up to date (docs/stores.md), then `envelock keys prove` fills the column",
  ],
  [/JobMigration\(\)/, "--jobs-table names the table, if it has another name; `envelock jobs plan --create` makes it"],
  [
    /migrate\(\)|Migration\(\)/,
    "--table names the table, if it has another name; the application that stores keys makes it (docs/stores.md)",
  ],
  [/getRandomValues|crypto\.subtle|Buffer\.from\(/, "`envelock keygen <file>` makes a keyset with a key of the right length"],
  [/^such\sas \//, "name the library by module-path=/… in the URI, or in ENVELOCK_PKCS11_MODULE, such as /usr/lib/softhsm/libsofthsm2.so"],
  [/allowedHosts/, "--allow-host names the host if it is yours; else correct the host in the URL"],
  [/tokenResource/, "check that the URL names your vault; a cloud of its own needs --token-resource"],
  [/keyUrl/, "check the host in the URL and, for a private link, its DNS zone"],
  [/tlsOptions/, "if a proxy or vault has its own authority, name that in NODE_EXTRA_CA_CERTS"],
  [
    /tenantId|additionallyAllowedTenants/,
    "the vault is in another tenant than the credential: sign in to that one, or set AZURE_TENANT_ID",
  ],
  [/wrap: "remote"/, "name the key without its version, or another key: this one cannot be used from here"],
  [/rsaWrap/, "put the public key on the token beside the private one, with the same id"],
  [/keyType: "rsa"/, "name a symmetric key: the command wraps with those alone"],
  [/privateKey/, "name the whole keyset where data is decrypted, not its public half"],
  [/maxSessions/, "the token has no more sessions: end other programs that use it, and run this again"],
  [
    /\binspect\b.*wrapWith|unwrapWith/,
    "`envelock inspect` shows which key ids can open it; name a keyset that holds one of them with --key",
  ],
  [/maxVersions|maxScopes/, "run it again, over fewer keys at once with a smaller --concurrency"],
  [/unwrapMechanisms/, "name the key that wrapped this with --key: the one that was given wraps by another mechanism"],
  [
    /dangerLastPinTry/,
    "log in once with the token's own tool, which resets the count; or give --danger-last-pin-try if you are sure of the PIN",
  ],
  [/vouchedKids/, "if no process of yours added the row, remove it; if it is lost or yours, see docs/stores.md"],
  [/field\(\)/, "run it again: the store is read anew"],
  [/expiresAtMs|secretAccessKey/, "--debug shows what the login answered"],
  [/keyType/, "the key in the vault is of another type than was expected: name another key"],
  [/`open` to Tenants/, "--openers names the file that says what tenants may bring (docs/cli.md)"],
  [/store of data keys to Tenants/, "--data-keys names the store of the tenants' data keys"],
  [/`platform` to Tenants/, "--platform names your own key; or `stage` a key of the tenant's"],
  [/retire with `force`/, "run `move`, which goes on from where it stands; or retire with --force if data under the old keys may be lost"],
  [/reuse data keys/, "wait a moment and run it again; fewer --concurrency asks the vault for less at once"],
];
