import { checksumMismatch, invalid } from "./answer.ts";
import { crc32c } from "./crc32c.ts";

/** Reads the JSON object of a request field by field. A missing field is empty. */
export class RequestFields {
  readonly #fields: ReadonlyMap<string, unknown>;

  constructor(text: string) {
    let value: unknown;
    try {
      value = JSON.parse(text === "" ? "{}" : text);
    } catch {
      throw invalid("Invalid JSON payload received.");
    }
    if (value === "") value = {}; // the official client's form of a message without fields
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("Invalid JSON payload received.");
    this.#fields = new Map(Object.entries(value));
  }

  get(name: string): unknown {
    return this.#fields.get(name) ?? undefined;
  }

  text(name: string): string | undefined {
    const value = this.get(name);
    if (value === undefined || typeof value === "string") return value;
    throw invalid(`Invalid value at '${name}' (TYPE_STRING)`);
  }

  integer(name: string): number | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const number = typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number)) return number;
    throw invalid(`Invalid value at '${name}' (TYPE_INT64)`);
  }

  /** Reads bytes in either alphabet of base64 and compares their checksum, if the request has one. */
  checked(name: string): CheckedBytes {
    const text = this.text(name) ?? "";
    if (!/^[\w+/-]*={0,2}$/.test(text)) throw invalid(`Invalid value at '${name}' (TYPE_BYTES), Base64 decoding failed`);
    const bytes = Buffer.from(text, "base64");
    const checksum = this.integer(`${name}Crc32c`);
    if (checksum !== undefined && checksum !== crc32c(bytes)) throw checksumMismatch(name);
    return { bytes, wasVerified: checksum !== undefined };
  }

  texts(name: string): readonly string[] {
    const value = this.get(name);
    return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
  }

  object(name: string): RequestFields {
    return new RequestFields(JSON.stringify(this.get(name) ?? {}));
  }
}

export interface CheckedBytes {
  readonly bytes: Buffer;
  readonly wasVerified: boolean;
}
