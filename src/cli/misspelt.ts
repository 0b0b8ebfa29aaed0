import { type Command, CommanderError } from "commander";
import type { EnvelockError } from "../core/base/errors.ts";
import { closest } from "../core/base/options.ts";
import { usageError } from "./failure.ts";

/**
 * Names a misspelt option, where commander complains of another that is missing because of it: of `--kye keys.json` it says that
 * `--key` was not given.
 *
 * @param args what stands after the program's name
 * @returns undefined if no option of the command line is unknown
 */
export function misspeltOption(error: unknown, program: Command, args: readonly string[]): EnvelockError | undefined {
  if (error instanceof CommanderError && error.code === "commander.invalidArgument") return wrongChoice(error);
  if (!(error instanceof CommanderError) || !MISLED.has(error.code)) return undefined;
  const { command, rest } = commandOf(program, args);
  const known = command.options.flatMap(({ long, short }) => [long, short]).filter((flag) => typeof flag === "string");
  const end = rest.indexOf("--");
  const flags = rest.slice(0, end === -1 ? rest.length : end).flatMap((arg) => /^--[a-z][\w-]*/i.exec(arg) ?? []);
  const unknown = flags.find((flag) => !known.includes(flag) && flag !== "--help");
  if (unknown === undefined) return missingOption(error, command);
  const meant = closest(unknown, known);
  return usageError(
    `unknown option '${unknown}'`,
    meant === undefined ? `${pathOf(command)} --help lists the options` : `Did you mean ${meant}?`,
  );
}

/** Says what to give for an option or argument that is needed, in its own words, and where an argument is too much. */
function missingOption(error: CommanderError, command: Command): EnvelockError | undefined {
  if (error.code === "commander.missingArgument") {
    const missing = command.registeredArguments.find((argument) => error.message.includes(`'${argument.name()}'`));
    const what = missing === undefined ? "" : `<${missing.name()}>: ${missing.description}; `;
    return usageError(error.message.replace(/^error: /, ""), `${what}${pathOf(command)} --help has examples`);
  }
  if (error.code === "commander.excessArguments") {
    const said = error.message.replace(/^error: |\.$/g, "");
    return usageError(said, `quote a name that holds spaces; ${pathOf(command)} --help has examples`);
  }
  if (error.code === "commander.conflictingOption")
    return usageError(error.message.replace(/^error: /, ""), `give one of the two; ${pathOf(command)} --help lists the options`);
  if (error.code === "commander.optionMissingArgument") {
    const bare = command.options.find((option) => error.message.includes(`'${option.flags}'`));
    if (bare !== undefined)
      return usageError(error.message.replace(/^error: /, ""), `${bare.flags.replace(/^-\w, /, "")}: ${bare.description}`);
  }
  const missing = command.options.find(
    (option) => error.code.endsWith("missingMandatoryOptionValue") && error.message.includes(`'${option.flags}'`),
  );
  if (missing === undefined) return undefined;
  const make = missing.long === "--key" ? ". `envelock keygen keys.json` makes a keyset" : "";
  return usageError(`required option '${missing.flags}' is missing`, `${missing.long}: ${missing.description}${make}`);
}

/** Says which of the choices was meant: the only one that begins like the argument, or one that is written nearly the same. */
function wrongChoice({ message }: CommanderError): EnvelockError | undefined {
  const [, said, given = "", listed = ""] =
    /^error: (.*(?:argument|value) '(.*)' is invalid.*?)\. Allowed choices are (.*)\.$/s.exec(message) ?? [];
  if (said === undefined) return undefined;
  const choices = listed.split(", ");
  const begun = given === "" ? [] : choices.filter((choice) => choice.startsWith(given.toLowerCase()));
  const meant = begun.length === 1 ? begun[0] : closest(given, choices);
  return usageError(said, meant === undefined ? `it is one of ${listed}` : `did you mean ${meant}? It is one of ${listed}`);
}

/** The command that the arguments name, as a shell takes it. */
export function commandPathOf(program: Command, args: readonly string[]): string {
  return pathOf(commandOf(program, args).command);
}

function commandOf(program: Command, args: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } {
  const [name, ...rest] = args;
  const verb = program.commands.find((command) => command.name() === name);
  return verb === undefined ? { command: program, rest: args } : commandOf(verb, rest);
}

/** The command as a shell takes it: `envelock keys list`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

const MISLED: ReadonlySet<string> = new Set([
  "commander.missingMandatoryOptionValue",
  "commander.unknownOption",
  "commander.missingArgument",
  "commander.excessArguments",
  "commander.conflictingOption",
  "commander.optionMissingArgument",
]);
