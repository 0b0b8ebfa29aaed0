import type { InspectedRecord, Inspection } from "../core/keyring/inspect.ts";
import { byteCount, columns } from "./columns.ts";
import { terminalText } from "./terminal-text.ts";

/** What `inspect` found, for people: aligned lines, safe to print whoever wrote the bytes. */
export function inspectTable(inspection: Inspection): string {
  const facts = columns(factsOf(inspection));
  return "recipients" in inspection ? `${facts}\n\n${recipientTable(inspection)}` : facts;
}

/** The recipients alone; a token has none. */
export function recipientTable(inspection: Inspection): string {
  const recipients = "recipients" in inspection ? inspection.recipients : [];
  return columns([
    ["recipient", "provider", "algorithm", "wrapped", "key id"],
    // the key id comes last: it may be 512 bytes long, and must not push the others out of line
    ...recipients.map(({ provider, algorithm, alg, wrappedBytes, keyId }, at) => [
      `${at + 1}`,
      terminalText(provider),
      algorithm ?? `unknown (${alg})`,
      byteCount(wrappedBytes),
      terminalText(keyId),
    ]),
  ]);
}

function factsOf(inspection: Inspection): readonly (readonly string[])[] {
  switch (inspection.kind) {
    case "envelope":
      return [
        ["envelope", `format 1, suite ${inspection.suite}`],
        ...headerFacts(inspection),
        ["body", byteCount(inspection.bodyBytes)],
        ["plaintext", `${byteCount(inspection.plaintextBytes)}, if the body is whole`],
      ];
    case "header":
      return [["header", `of a detached envelope, format 1, suite ${inspection.suite}`], ...headerFacts(inspection)];
    case "key-record":
      return [
        ["key record", `suite ${inspection.suite}`],
        ["data key", inspection.kid],
      ];
    case "token":
    case "deterministic-token":
      return [
        ["field token", inspection.kind === "token" ? "random" : "deterministic"],
        ["data key", inspection.kid],
        ["plaintext", byteCount(inspection.plaintextBytes)],
      ];
  }
}

function headerFacts(header: InspectedRecord & { readonly headerBytes: number; readonly paddingBytes: number }): readonly string[][] {
  const padding = header.paddingBytes > 0 ? `, ${header.paddingBytes.toLocaleString("en-US")} of them padding` : "";
  return [
    ["data key", header.kid],
    ["header", `${byteCount(header.headerBytes)}${padding}`],
  ];
}
