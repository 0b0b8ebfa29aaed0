import { badRequest } from "./answer.ts";

/** Reads the JSON object of a request field by field. Like the server, accepts numbers and flags as texts too. */
export class RequestFields {
  readonly #fields: ReadonlyMap<string, unknown>;

  private constructor(value: object) {
    this.#fields = new Map(Object.entries(value));
  }

  /** @param text an empty text stands for an object without fields @throws VaultAnswer */
  static parse(text: string): RequestFields {
    try {
      return RequestFields.of(JSON.parse(text === "" ? "{}" : text));
    } catch {
      throw badRequest("failed to parse JSON input");
    }
  }

  static of(value: unknown): RequestFields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw badRequest("failed to parse JSON input");
    return new RequestFields(value);
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  text(name: string): string | undefined {
    const value = this.#fields.get(name) ?? undefined;
    if (value === undefined || typeof value === "string") return value;
    if (typeof value === "number") return `${value}`;
    throw badRequest(`field validation failed: error converting input for field ${JSON.stringify(name)}`);
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw badRequest(`field validation failed: error converting input ${JSON.stringify(text)} for field ${JSON.stringify(name)}`);
  }

  flag(name: string): boolean | undefined {
    const value = this.#fields.get(name) ?? undefined;
    if (value === undefined || typeof value === "boolean") return value;
    if (value === "true" || value === "false") return value === "true";
    throw badRequest(`field validation failed: error converting input for field ${JSON.stringify(name)}`);
  }

  /** Reads standard base64, the only form that the server accepts. */
  bytes(name: string): Buffer | undefined {
    const text = this.text(name);
    if (text === undefined || text === "") return undefined;
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) throw badRequest(`failed to base64-decode ${name}`);
    return Buffer.from(text, "base64");
  }

  list(name: string): readonly RequestFields[] | undefined {
    const value = this.#fields.get(name) ?? undefined;
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.length === 0) throw badRequest("missing batch input to process");
    return value.map((item) => RequestFields.of(item));
  }
}
