import { chromium } from "playwright-core";
import { rolldown } from "rolldown";
import { fileOfPackages } from "./debian-packages.ts";

/** What a browser loads: a page's script with the portable engine, by the package's own import map. */
export async function bundled(page: string): Promise<string> {
  const bundle = await rolldown({
    input: page,
    platform: "browser",
    tsconfig: false, // its paths lead to the engine of Node
    resolve: { conditionNames: ["browser", "import", "default"] },
  });
  const { output } = await bundle.generate({ format: "es", codeSplitting: false });
  await bundle.close();
  return output[0].code;
}

/** Opens a page in Chromium and waits until its title is no longer `working`. @returns the title */
export async function finalTitleOf(url: string): Promise<string> {
  const running = await chromium.launch({ executablePath: fileOfPackages(BROWSERS, ["chromium"]), args: ARGUMENTS });
  try {
    const page = await running.newPage();
    const broken = new Promise<never>((_, reject) => page.on("pageerror", reject));
    await page.goto(url);
    await Promise.race([broken, page.waitForFunction("document.title !== 'working'", undefined, { timeout: 240_000 })]);
    return await page.title();
  } finally {
    await running.close();
  }
}

export const WORKING_PAGE = '<title>working</title><script type="module" src="/page.js"></script>';
const BROWSERS: readonly string[] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const ARGUMENTS: string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
