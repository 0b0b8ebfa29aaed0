import { badParameter } from "./answer.ts";

/** Reads the JSON object of a request field by field. A field of another type is a bad parameter. */
export class JsonFields {
  readonly #fields: ReadonlyMap<string, unknown>;

  private constructor(value: object) {
    this.#fields = new Map(Object.entries(value));
  }

  /** @param text an empty text stands for an object without fields @throws Answer */
  static parse(text: string): JsonFields {
    try {
      const value: unknown = JSON.parse(text === "" ? "{}" : text);
      return JsonFields.of(value);
    } catch {
      throw badParameter("The body is not a JSON object.");
    }
  }

  static of(value: unknown): JsonFields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw badParameter("An object is expected.");
    return new JsonFields(value);
  }

  object(name: string): JsonFields {
    const value = this.#fields.get(name);
    return JsonFields.of(value ?? {});
  }

  objects(name: string): readonly JsonFields[] {
    return this.#list(name).map(JsonFields.of);
  }

  text(name: string): string | undefined {
    const value = this.#fields.get(name) ?? undefined;
    if (value === undefined || typeof value === "string") return value;
    throw badParameter(`${name} is not a text.`);
  }

  number(name: string): number | undefined {
    const value = this.#fields.get(name) ?? undefined;
    if (value === undefined || (typeof value === "number" && Number.isInteger(value))) return value;
    throw badParameter(`${name} is not a whole number.`);
  }

  flag(name: string): boolean | undefined {
    const value = this.#fields.get(name) ?? undefined;
    if (value === undefined || typeof value === "boolean") return value;
    throw badParameter(`${name} is neither true nor false.`);
  }

  texts(name: string): readonly string[] | undefined {
    if (!this.#fields.has(name)) return undefined;
    return this.#list(name).map((value) => {
      if (typeof value === "string") return value;
      throw badParameter(`${name} is not a list of texts.`);
    });
  }

  /** Reads base64url, the service's form of bytes. Also accepts base64, which some clients send. */
  bytes(name: string): Buffer | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^[\w+/=-]*$/.test(text)) throw badParameter(`${name} is not base64url.`);
    return Buffer.from(text, "base64url");
  }

  /** Reads a map of texts, such as tags. */
  pairs(name: string): Readonly<Record<string, string>> | undefined {
    if (!this.#fields.has(name)) return undefined;
    const fields = this.object(name);
    return Object.fromEntries([...fields.#fields.keys()].map((key) => [key, fields.text(key) ?? ""]));
  }

  #list(name: string): readonly unknown[] {
    const value = this.#fields.get(name) ?? [];
    if (Array.isArray(value)) return value;
    throw badParameter(`${name} is not a list.`);
  }
}
