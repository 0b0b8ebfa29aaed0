import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { ROOT } from "./imports.ts";

/**
 * The links of Markdown files that lead to none of the given files, or to a heading that the file does not have. Links to other
 * sites are not followed.
 *
 * @param paths from the root
 * @returns each as `from target`
 */
export function deadLinks(paths: readonly string[]): readonly string[] {
  const files = new Set(paths);
  const pages = paths.filter((path) => path.endsWith(".md"));
  const headings = new Map(pages.map((path) => [path, headingsOf(textOf(path))]));
  return pages.flatMap((from) =>
    targetsIn(textOf(from)).flatMap((target) => {
      const [path = "", heading] = target.split("#");
      const to = path === "" ? from : posix.join(posix.dirname(from), path);
      const isThere = files.has(to) || paths.some((file) => file.startsWith(`${to.replace(/\/$/, "")}/`));
      const hasHeading = heading === undefined || headings.get(to)?.has(heading) === true;
      return isThere && hasHeading ? [] : [`${from} ${target}`];
    }),
  );
}

/** The targets of links and pictures that are not of other sites. */
export function targetsIn(markdown: string): readonly string[] {
  const text = markdown.replace(CODE, "");
  return [...text.matchAll(LINK)].map(([, inline, html]) => inline ?? html ?? "").filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors that GitHub gives a page's headings. */
export function headingsOf(markdown: string): ReadonlySet<string> {
  const slugs = new Set<string>();
  for (const [, title = ""] of markdown.replace(FENCE, "").matchAll(/^#+ (.+)$/gm)) {
    const slug = title
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replace(/\s/g, "-");
    let [unique, place] = [slug, 0];
    while (slugs.has(unique)) unique = `${slug}-${++place}`;
    slugs.add(unique);
  }
  return slugs;
}

function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

const FENCE = /^ *```[\s\S]*?^ *```/gm;
const CODE = /^ *```[\s\S]*?^ *```|`[^`\n]*`/gm;
const LINK = /\]\(([^)\s]+)(?:\s"[^"]*")?\)|(?:src|href|srcset)="([^"]+)"/g;
