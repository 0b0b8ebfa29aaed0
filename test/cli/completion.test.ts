import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fileOfPackages } from "../support/debian-packages.ts";
import { ok, refused, scratch } from "./runner.ts";

const { at, folder, write } = scratch();
write("report.pdf", "");
mkdirSync(at("reports"));

/** What a shell offers for a command line whose last word is being typed. */
type Offers = (...words: readonly string[]) => Promise<readonly string[]>;

const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["verbs", ["enc"], ["encrypt"]],
  ["verbs of a group", ["keys", "ro"], ["rotate"]],
  ["options", ["decrypt", "--ran"], ["--range"]],
  ["options of a verb in a group", ["keys", "rotate", "--cre"], ["--create", "--credential"]],
  ["the verb that writes proofs", ["keys", "pr"], ["prove"]],
  ["options of the verb that writes proofs", ["keys", "prove", "--con"], ["--concurrency"]],
  ["choices of an option", ["keygen", "x.json", "--type", "x2"], ["x25519"]],
  ["choices of an argument's option", ["dev", "azure-emulator", "--flavour", "man"], ["managed-hsm"]],
  ["options after files", ["encrypt", "report.pdf", "--recur"], ["--recursive"]],
];

describe("bash", () => {
  const offers: Offers = async (...words) => {
    const { text } = await ok(["completion", "bash"]);
    const script = `${text}\nCOMP_WORDS=(envelock "$@"); COMP_CWORD=$#; _envelock; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return linesOf(execFileSync("bash", ["-c", script, "bash", ...words], { cwd: folder, encoding: "utf8" }));
  };

  test.each(CASES)("offers %s", async (_what, words, expected) => {
    expect(await offers(...words)).toEqual(expected);
  });

  test("offers files where a file is meant", async () => {
    expect(await offers("encrypt", "rep")).toEqual(["report.pdf", "reports"]);
    expect(await offers("encrypt", "--key", "report.")).toEqual(["report.pdf"]);
  });
});

describe("fish", () => {
  const fish = fileOfPackages(["/usr/bin/fish"], ["fish"]);

  test.each(CASES)("offers %s", async (_what, words, expected) => {
    const script = write("envelock.fish", (await ok(["completion", "fish"])).text);
    const line = ["envelock", ...words].join(" ");
    const output = execFileSync(fish, ["--no-config", "-c", `source ${script}; complete -C "${line}"`], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, HOME: folder },
    });
    expect(linesOf(output).map((offer) => offer.split("\t")[0])).toEqual([...expected].sort());
  });
});

describe("zsh", () => {
  const zsh = fileOfPackages(["/usr/bin/zsh", "/bin/zsh"], ["zsh"]);

  test.each(CASES)("offers %s", async (_what, words, expected) => {
    const script = write("_envelock", (await ok(["completion", "zsh"])).text);
    // the completion system works in a line editor alone; here its three ways to offer are replaced by ones that print
    const harness = `
      compdef() { : }
      compadd() { [[ $1 == -- ]] && shift; offers+=("$@") }
      _files() { offers+=(files) }
      _describe() { local each; for each in "\${(@P)2}"; do offers+=("\${each%%:*}"); done }
      source ${script}
      words=(envelock "$@"); CURRENT=$(( $# + 1 )); offers=()
      _envelock
      print -l -- "\${(@M)offers:#\${words[CURRENT]}*}"`;
    const output = execFileSync(zsh, ["-f", "-c", harness, "zsh", ...words], { cwd: folder, encoding: "utf8" });
    expect(linesOf(output)).toEqual([...expected].sort());
  });
});

test("another shell is refused with the names of those that are known", async () => {
  expect((await refused(2, "invalid-argument", ["completion", "tcsh"])).stderr).toMatch(/bash, zsh, fish/);
});

function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}
