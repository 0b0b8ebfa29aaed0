import { validation } from "./answer.ts";

/** Reads the members of a JSON request, each as its required type. @throws `ValidationException`, `SerializationException` */
export class RequestFields {
  readonly #fields: ReadonlyMap<string, unknown>;

  private constructor(fields: ReadonlyMap<string, unknown>) {
    this.#fields = fields;
  }

  static parse(body: string): RequestFields {
    try {
      const parsed: unknown = JSON.parse(body === "" ? "{}" : body);
      if (typeof parsed === "object" && parsed !== null) return new RequestFields(new Map(Object.entries(parsed)));
    } catch {
      // reported below
    }
    throw validation("The body is no JSON object");
  }

  text(name: string): string | undefined {
    const value = this.#fields.get(name);
    if (value === undefined || value === null || typeof value === "string") return value ?? undefined;
    throw validation(`${name} must be a string`);
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined)
      throw validation(`1 validation error detected: Value null at '${name}' failed to satisfy constraint: Member must not be null`);
    return value;
  }

  /** Reads base64 of `least` to `most` bytes. */
  bytes(name: string, most: number): Buffer {
    const text = this.required(name);
    const bytes = Buffer.from(text, "base64");
    if (bytes.toString("base64") !== text) throw validation(`${name} is no base64`);
    if (bytes.length < 1 || bytes.length > most)
      throw validation(
        `1 validation error detected: Value at '${name}' failed to satisfy constraint: Member must have length between 1 and ${most}`,
      );
    return bytes;
  }

  number(name: string): number | undefined {
    const value = this.#fields.get(name);
    if (value === undefined || typeof value === "number") return value;
    throw validation(`${name} must be a number`);
  }

  flag(name: string): boolean {
    return this.#fields.get(name) === true;
  }

  /** Reads a list of texts; empty if it is missing. */
  texts(name: string): readonly string[] {
    const value = this.#fields.get(name) ?? [];
    if (!Array.isArray(value)) throw validation(`${name} must be a list`);
    return value.map((text: unknown) => {
      if (typeof text === "string") return text;
      throw validation(`${name} must hold strings`);
    });
  }

  /** Reads a map of texts; undefined if it is missing. */
  map(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.#fields.get(name);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "object") throw validation(`${name} must be a map`);
    const pairs = Object.entries(value).map(([key, text]): [string, string] => {
      if (typeof text === "string") return [key, text];
      throw validation(`${name} must hold strings`);
    });
    return Object.fromEntries(pairs);
  }
}
