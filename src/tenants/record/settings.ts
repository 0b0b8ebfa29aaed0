import { isTextOfAtMost } from "../../core/base/bytes.ts";
import { invalidArgument, unreadable } from "../../core/base/errors.ts";
import { requireNamed } from "../../core/base/options.ts";

/** A frozen map of text to text without a prototype, so that a name such as `__proto__` is a name like any other. */
export type Settings = Readonly<Record<string, string>>;

/**
 * Reads the settings of a key or an identity: at most 12 pairs, values of at most 512 bytes.
 *
 * @throws `invalid-argument`, also for a name that speaks of a secret: secrets belong to the vendor's own store of secrets
 */
export function settingsOf(given: unknown, what: string): Settings {
  requireNamed(given, `${what} must be an object of strings`);
  const pairs = entriesOf(given, what);
  if (pairs.length > MOST_SETTINGS) throw invalidArgument(`${what} has ${pairs.length} settings, at most ${MOST_SETTINGS} are allowed`);
  const settings: Record<string, string> = Object.create(null);
  for (const [name, value] of pairs) {
    if (!SETTING_NAME.test(name)) throw invalidArgument(`a setting of ${what} has a name other than letters and digits`);
    if (SECRET_NAME.test(name)) {
      throw invalidArgument(
        `${what} must not hold "${name}": the record of a tenant never holds a secret`,
        "Keep the secret where the opener finds it, and put a reference to it into the settings, such as `credentialRef`.",
      );
    }
    if (!isTextOfAtMost(MAX_SETTING_BYTES, value))
      throw invalidArgument(`${name} of ${what} must be text of 1 to ${MAX_SETTING_BYTES} bytes`);
    settings[name] = value;
  }
  return Object.freeze(settings);
}

function entriesOf(given: object, what: string): readonly (readonly [string, unknown])[] {
  try {
    return Object.entries(given);
  } catch (error) {
    throw unreadable(what, error);
  }
}

const MOST_SETTINGS = 12;
const MAX_SETTING_BYTES = 512;
const SETTING_NAME = /^[a-zA-Z][a-zA-Z0-9]{0,39}$/;
const SECRET_NAME = /secret|password|passphrase|privatekey|token|accesskey|apikey/i;
