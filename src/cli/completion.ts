import { Argument, type Command } from "commander";
import { printLines } from "./output.ts";

/** A command or verb, as far as a shell needs to know it. */
export interface CompletedCommand {
  /** `keys rotate`; empty for the program itself. */
  readonly path: string;
  readonly verbs: readonly (readonly [name: string, summary: string])[];
  readonly options: readonly CompletedOption[];
}

interface CompletedOption {
  /** `--key`, and `-k` where there is one. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

export function addCompletion(program: Command): void {
  const command = program
    .command("completion")
    .summary("print a script that completes this command in a shell")
    .description("Prints a script for a shell, which completes verbs, options, the values of options and files.")
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS));
  command.addHelpText(
    "after",
    `
Examples:
  envelock completion bash > ~/.local/share/bash-completion/completions/envelock
  envelock completion zsh > ~/.zfunc/_envelock        # with fpath+=~/.zfunc before compinit
  envelock completion fish > ~/.config/fish/completions/envelock.fish`,
  );
  command.action(async (shell: string) => await printLines(completionScript(shell, program)));
}

/** The script for a shell, made from the tables that the command itself reads. */
export function completionScript(shell: string, program: Command): string {
  const commands = completedCommands(program);
  if (shell === "zsh") return zshScript(commands);
  return shell === "fish" ? fishScript(commands) : bashScript(commands);
}

/** Every command and verb, the program first. */
export function completedCommands(command: Command, path = ""): readonly CompletedCommand[] {
  const own: CompletedCommand = {
    path,
    verbs: command.commands.map((verb) => [verb.name(), verb.summary()]),
    options: command
      .createHelp()
      .visibleOptions(command)
      .map((option) => ({
        flags: [option.long, option.short].filter((flag) => typeof flag === "string"),
        description: option.description,
        takesValue: option.required || option.optional,
        choices: option.argChoices ?? [],
      })),
  };
  return [own, ...command.commands.flatMap((verb) => completedCommands(verb, path === "" ? verb.name() : `${path} ${verb.name()}`))];
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const values = commands.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ flags, choices }) => {
        const pattern = flags.map((flag) => quoted(`${path}:${flag}`)).join(" | ");
        const words = choices.length === 0 ? `-f` : `-W ${quoted(choices.join(" "))}`;
        return `    ${pattern}) _envelock_take ${words} -- "$cur"; return ;;`;
      }),
  );
  const words = commands.map(
    ({ path, verbs, options }) =>
      `    ${quoted(path)}) verbs=${quoted(verbs.map(([name]) => name).join(" "))}; options=${quoted(longFlags(options).join(" "))} ;;`,
  );
  return `# envelock completion for bash, 3.2 or later
_envelock_take() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$@")
}
_envelock() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}" path="" verbs="" options="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
      ${commands.flatMap(({ path }) => (path === "" ? [] : [quoted(path)])).join(" | ")}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path:$prev" in
${values.join("\n")}
  esac
  case "$path" in
${words.join("\n")}
  esac
  if [[ $cur == -* ]]; then
    _envelock_take -W "$options" -- "$cur"
  elif [[ -n $verbs ]]; then
    _envelock_take -W "$verbs" -- "$cur"
  else
    _envelock_take -f -- "$cur"
  fi
}
complete -o filenames -F _envelock envelock`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const values = commands.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ flags, choices }) => {
        const pattern = flags.map((flag) => quoted(`${path}:${flag}`)).join("|");
        return `    ${pattern}) ${choices.length === 0 ? "_files" : `compadd -- ${choices.map(quoted).join(" ")}`}; return ;;`;
      }),
  );
  const described = (pairs: readonly (readonly [string, string])[]): string =>
    pairs.map(([name, text]) => quoted(`${name.replaceAll(":", "\\:")}:${text}`)).join(" ");
  const words = commands.map(({ path, verbs, options }) => {
    const flags = options.flatMap(({ flags: [long = ""], description }): readonly (readonly [string, string])[] => [[long, description]]);
    return `    ${quoted(path)}) verbs=(${described(verbs)}); options=(${described(flags)}) ;;`;
  });
  return `#compdef envelock
# envelock completion for zsh
_envelock() {
  local at="" word cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}"
  local -a verbs options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${at:+$at }$word" in
      ${commands.flatMap(({ path }) => (path === "" ? [] : [quoted(path)])).join("|")}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at:$prev" in
${values.join("\n")}
  esac
  case "$at" in
${words.join("\n")}
  esac
  if [[ $cur == -* ]]; then
    _describe option options
  elif (( \${#verbs} )); then
    _describe verb verbs
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _envelock ]]; then _envelock "$@"; else compdef _envelock envelock; fi`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ path, verbs, options }) => {
    const at = `-n "__envelock_at ${quoted(path).replaceAll('"', '\\"')}"`;
    const ofVerbs = verbs.map(([name, summary]) => `complete -c envelock ${at} -f -a ${quoted(name)} -d ${quoted(summary)}`);
    const ofOptions = options.map(({ flags, description, takesValue, choices }) => {
      const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(" ");
      const value = takesValue ? (choices.length === 0 ? " -r -F" : ` -x -a ${quoted(choices.join(" "))}`) : "";
      return `complete -c envelock ${at} ${names} -d ${quoted(description)}${value}`;
    });
    return [...ofVerbs, ...ofOptions];
  });
  return `# envelock completion for fish
function __envelock_at
    set -l at ""
    for word in (commandline -opc)[2..-1]
        set -l next (string trim "$at $word")
        contains -- "$next" ${commands.flatMap(({ path }) => (path === "" ? [] : [quoted(path)])).join(" ")}; and set at "$next"
    end
    test "$at" = "$argv[1]"
end
${lines.join("\n")}`;
}

function longFlags(options: readonly CompletedOption[]): readonly string[] {
  return options.flatMap(({ flags: [long] }) => (long === undefined ? [] : [long]));
}

/** In single quotes, as all three shells read them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const SHELLS = ["bash", "zsh", "fish"];
