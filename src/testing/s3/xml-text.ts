import { escapedXml } from "../../blobs/xml.ts";
import { XML } from "./answer.ts";

/** The content of an element: a value, an element for each of a list, or elements by their names. Undefined elements are left out. */
export type XmlContent = string | number | boolean | undefined | XmlFields | readonly XmlContent[];

export interface XmlFields {
  readonly [name: string]: XmlContent;
}

/** Writes a document of the service. */
export function xmlDocument(root: string, fields: XmlFields, text = ""): string {
  return `${XML}<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${escapedXml(text)}${elements(fields)}</${root}>`;
}

function elements(fields: XmlFields): string {
  return Object.entries(fields)
    .map(([name, content]) => element(name, content))
    .join("");
}

function element(name: string, content: XmlContent): string {
  if (content === undefined) return "";
  if (isList(content)) return content.map((item) => element(name, item)).join("");
  return `<${name}>${typeof content === "object" ? elements(content) : escapedXml(`${content}`)}</${name}>`;
}

function isList(content: XmlContent): content is readonly XmlContent[] {
  return Array.isArray(content);
}
