import { badParameter } from "./answer.ts";
import type { VaultCall } from "./vault.ts";

/**
 * A page of a list, and the link to the next one. The service has 25 items a page. Pages are smaller here, so that tests meet several.
 *
 * @throws Answer
 */
export function pageOf(items: readonly object[], path: string, { vault, query }: VaultCall): object {
  const size = Number(query.get("maxresults") ?? MAX_ITEMS);
  if (!Number.isInteger(size) || size < 1 || size > MAX_RESULTS) throw badParameter(`maxresults is 1 to ${MAX_RESULTS}.`);
  const from = Number(query.get("$skiptoken") ?? 0);
  const next = from + Math.min(size, MAX_ITEMS);
  const link = `${vault.url}${path}?api-version=${query.get("api-version")}&$skiptoken=${next}&maxresults=${size}`;
  return { value: items.slice(from, next), nextLink: next < items.length ? link : null };
}

const MAX_ITEMS = 2;
const MAX_RESULTS = 25;
