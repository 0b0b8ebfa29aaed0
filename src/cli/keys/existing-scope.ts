import type { Context } from "../../core/base/context.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { closest } from "../../core/base/options.ts";
import type { DataKeyStore } from "../../core/contracts/data-key-store.ts";
import { contextOfScope } from "../../fields/scope.ts";
import { scopeLine } from "./describe.ts";
import { everyRow } from "./job.ts";

/** What is said of a scope that has no data key: a scope of the store that is written nearly the same, if there is one. */
export async function noSuchScope(store: DataKeyStore, scope: Context, otherwise: string): Promise<EnvelockError> {
  const known = new Set<string>();
  try {
    for await (const row of everyRow(store)) {
      known.add(scopeLine(contextOfScope(row.scope)));
      if (known.size === MOST_COMPARED) break;
    }
  } catch {
    // only the suggestion is lost
  }
  const meant = closest(scopeLine(scope), [...known]);
  const hint =
    meant === undefined
      ? `\`envelock keys list\` shows the scopes${otherwise}`
      : `did you mean ${meant}?${otherwise && ` Else${otherwise.slice(1)}`}`;
  return new EnvelockError("key-not-found", `the store has no data key of the scope ${scopeLine(scope)}`, { hint });
}

const MOST_COMPARED = 10_000;
