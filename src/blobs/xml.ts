import { unusable } from "./http.ts";

/** Lists the contents of all elements of a name, wherever they stand. For answers of stores, which are flat and have no attributes that matter. */
export function elementsIn(xml: string, name: string): readonly string[] {
  const found: string[] = [];
  const open = new RegExp(`<${name}(?:\\s[^<>]*)?(/?)>`, "g");
  const close = `</${name}>`;
  for (let match = open.exec(xml); match !== null; match = open.exec(xml)) {
    if (match[1] === "/") {
      found.push("");
      continue;
    }
    const end = xml.indexOf(close, open.lastIndex);
    if (end === -1) break;
    found.push(xml.slice(open.lastIndex, end));
    open.lastIndex = end + close.length;
  }
  return found;
}

/**
 * Gives the content of the outermost element.
 *
 * @throws `provider-failure` unless it has this name and an end: a page of a proxy, or an answer that was cut, would pass for one without entries
 */
export function rootIn(what: string, xml: string, name: string): string {
  const [start] = new RegExp(`^\\s*(?:<\\?xml[^<>]*\\?>\\s*)?<${name}(?:\\s[^<>]*)?>`).exec(xml) ?? [];
  if (start === undefined) throw unusable(what);
  const rest = xml.slice(start.length).trimEnd();
  if (start.endsWith("/>") && rest === "") return "";
  const close = `</${name}>`;
  if (!rest.endsWith(close)) throw unusable(what);
  return rest.slice(0, -close.length);
}

/** Reads the length in an element of a name. @throws `provider-failure` if there is none */
export function sizeIn(what: string, xml: string, name: string): number {
  const text = textIn(xml, name) ?? "";
  if (!/^\d{1,15}$/.test(text)) throw unusable(what);
  return Number(text);
}

/** The text of the first element of a name. Undefined if there is none. */
export function textIn(xml: string, name: string): string | undefined {
  const [content] = elementsIn(xml, name);
  return content === undefined ? undefined : unescapedXml(content);
}

export function escapedXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function unescapedXml(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([a-z]{2,4}));/g, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = Number.parseInt(hex ?? decimal, hex === undefined ? 10 : 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
