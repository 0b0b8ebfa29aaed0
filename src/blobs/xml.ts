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
