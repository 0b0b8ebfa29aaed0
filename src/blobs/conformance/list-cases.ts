import { check } from "../../core/contracts/conformance-checks.ts";
import type { BlobStore } from "../blob-store.ts";
import { type Case, contentOf, created, newDigest, newName, noiseOf, openedBlob } from "./bench.ts";

/** Cases of lists. */
export function listCases(): readonly Case[] {
  return [
    { name: "list gives every blob once, in order, in pages", run: pages },
    { name: "list keeps to its prefix", run: keepsToPrefix },
    { name: "the index finds the blobs of a key, if there is one", run: finds },
  ];
}

async function pages(open: () => Promise<BlobStore>): Promise<void> {
  const [store, prefix] = [await open(), `${newName()}/`];
  const names = ["a", "b/c", "b/d", "e", "f.txt"].map((end) => `${prefix}${end}`);
  const etags = new Map<string, string>();
  for (const name of [...names].reverse()) etags.set(name, await created(store, name, [noiseOf(20)]));
  const found: string[] = [];
  for (let after: string | undefined; ; after = found.at(-1)) {
    const page = await store.list({ prefix, limit: 2, ...(after !== undefined && { after }) });
    check(page.length <= 2, "list must give no more than its limit");
    for (const { name, size, etag } of page) {
      check(size === 20 && etag === etags.get(name), "list must give size and ETag as open does");
      found.push(name);
    }
    if (page.length < 2) break;
    check(found.length <= names.length, "list must come to an end");
  }
  check(found.join() === names.join(), `list must give ${names.length} names in order, and gave ${found.length}`);
}

async function keepsToPrefix(open: () => Promise<BlobStore>): Promise<void> {
  const [store, folder] = [await open(), newName()];
  for (const end of ["/in/1", "/in/2", "/inside", "/out/3"]) await created(store, `${folder}${end}`, [noiseOf(20)]);
  const names = (await store.list({ prefix: `${folder}/in/`, limit: 10 })).map(({ name }) => name);
  check(names.join() === `${folder}/in/1,${folder}/in/2`, "list must give the names that begin with its prefix, and no other");
}

async function finds(open: () => Promise<BlobStore>): Promise<void> {
  const store = await open();
  if (store.findByKey === undefined) return;
  const [prefix, old, next, other] = [`${newName()}/`, newDigest(), newDigest(), newDigest()];
  for (const end of ["a", "b", "c"]) await created(store, `${prefix}${end}`, [noiseOf(300)], contentOf([old]));
  await created(store, `${prefix}d`, [noiseOf(300)], contentOf([other]));
  const found = async (digest: string): Promise<string> => {
    const names: string[] = [];
    let after: string | undefined;
    do {
      const page = await store.findByKey?.(digest, { prefix, ...(after !== undefined && { after }) });
      names.push(...(page?.names ?? []));
      after = page?.next;
    } while (after !== undefined);
    return names
      .map((name) => name.slice(prefix.length))
      .sort()
      .join();
  };
  check((await found(old)) === "a,b,c", "findByKey must find the blobs of a key, and no other");
  const blob = await openedBlob(store, `${prefix}a`);
  await blob.replaceHeader({ ownHeaderBytes: 300, header: noiseOf(300), keys: [next] });
  check((await found(old)) === "b,c" && (await found(next)) === "a", "findByKey must follow a new header");
}
