import type { BlobEntry } from "./blob-store.ts";

/** A page as a service gives it, with its own word for where the next one begins. */
export interface MarkedPage {
  readonly entries: readonly BlobEntry[];
  readonly marker: string | undefined;
}

/**
 * Remembers where pages end, for services that go on from a marker of theirs and not from a name. Without a memory of the name it reads from
 * the start and skips, so that it can forget at any time.
 */
export class PageMarkers {
  readonly #markers = new Map<string, string>();

  /** Returns the next `limit` entries after a name. */
  async page(
    { prefix, after, limit }: { readonly prefix: string; readonly after: string | undefined; readonly limit: number },
    fetch: (marker: string | undefined) => Promise<MarkedPage>,
  ): Promise<readonly BlobEntry[]> {
    const entries: BlobEntry[] = [];
    let marker = after === undefined ? undefined : this.#markers.get(`${prefix}\n${after}`);
    do {
      const page = await fetch(marker);
      const wanted = page.entries.filter(({ name }) => after === undefined || name > after);
      entries.push(...wanted);
      marker = page.marker;
      const last = page.entries.at(-1)?.name;
      if (marker !== undefined && last !== undefined && entries.length <= limit) this.#remember(`${prefix}\n${last}`, marker);
    } while (marker !== undefined && entries.length < limit);
    return entries.slice(0, limit);
  }

  #remember(place: string, marker: string): void {
    this.#markers.set(place, marker);
    const [oldest] = this.#markers.keys();
    if (this.#markers.size > MOST && oldest !== undefined) this.#markers.delete(oldest);
  }
}

const MOST = 100;
