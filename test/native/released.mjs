// node released.mjs [FOLDER]: whether the file for this platform, in src/native or another folder of the package, is loaded, answers known
// questions rightly and is taken for the engine. The release asks this of each file on its own system. It takes what `npm run build` made.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM = `
  import { DataKey, engineInfo } from "envelock";
  const key = DataKey.generate();
  if (key.decryptToken(key.encryptToken(new Uint8Array(9))).length !== 9) throw new Error("wrong");
  console.log(JSON.stringify(engineInfo()));`;

const source = process.argv[2] ?? fileURLToPath(new URL("../../src/native", import.meta.url));
const modules = mkdtempSync(join(tmpdir(), "envelock-released-"));
try {
  cpSync(source, join(modules, "@envelock/native"), { recursive: true });
  const info = execFileSync(process.execPath, ["--input-type=module", "--eval", PROGRAM], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env: { ...process.env, NODE_PATH: modules },
    encoding: "utf8",
  });
  if (JSON.parse(info).name !== "node-native") throw new Error(`it is not taken: ${info}`);
  console.log(info.trim());
} finally {
  rmSync(modules, { recursive: true });
}
