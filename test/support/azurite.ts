import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { installed } from "./npm-tools.ts";

/** Azurite in a process of its own, on a free loopback port, with everything in memory. */
export interface Azurite {
  /** The address of the account. */
  readonly url: string;
  /** Makes a container and returns its name. */
  createContainer(): Promise<string>;
  /** Signs a SAS for a container, with these permissions. */
  sas(container: string, permissions?: string): string;
  /** Lets pages of every origin in. */
  allowBrowsers(): Promise<void>;
  /** Ends the process. */
  close(): Promise<void>;
}

/** `@azure/storage-blob` as it is installed for tests: it is too large to be a devDependency. */
export function storageBlobSdk(): ReturnType<NodeJS.Require> {
  const modules = installed("foreign", ["@azure/storage-blob@12.32.0"]);
  return createRequire(join(modules, "..", "package.json"))("@azure/storage-blob");
}

export async function startAzurite(): Promise<Azurite> {
  const program = join(installed("foreign", ["azurite@3.35.0"]), "azurite/dist/src/blob/main.js");
  const options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--silent", "--disableTelemetry"];
  const azurite = spawn(process.execPath, [program, "--skipApiVersionCheck", ...options], { stdio: ["ignore", "pipe", "pipe"] });
  const url = await new Promise<string>((resolve, reject) => {
    let said = "";
    const hear = (text: Buffer): void => {
      said += text;
      const address = /successfully listens on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1];
      if (address !== undefined) resolve(`${address}/${ACCOUNT}`);
    };
    azurite.stdout.on("data", hear);
    azurite.stderr.on("data", hear);
    azurite.once("exit", () => reject(new Error(`Azurite ended: ${said}`)));
  });
  const sdk = storageBlobSdk();
  const service = new sdk.BlobServiceClient(url, new sdk.StorageSharedKeyCredential(ACCOUNT, KEY));
  return {
    url,
    async createContainer() {
      const name = `c${randomUUID()}`;
      await service.createContainer(name);
      return name;
    },
    sas: signedAccess,
    async allowBrowsers() {
      const rule = {
        allowedOrigins: "*",
        allowedMethods: "GET,HEAD,PUT,DELETE",
        allowedHeaders: "*",
        exposedHeaders: "*",
        maxAgeInSeconds: 600,
      };
      await service.setProperties({ cors: [rule] });
    },
    async close() {
      const ended = new Promise((resolve) => azurite.once("exit", resolve));
      azurite.kill("SIGKILL");
      await ended;
    },
  };
}

/** @returns a client of the SDK for a container, with the account's key */
export function containerClient(azurite: Azurite, container: string): ReturnType<NodeJS.Require> {
  const sdk = storageBlobSdk();
  const options = { retryOptions: { maxTries: 1 } };
  return new sdk.ContainerClient(`${azurite.url}/${container}`, new sdk.StorageSharedKeyCredential(ACCOUNT, KEY), options);
}

// Service SAS for a container, version 2020-12-06
function signedAccess(container: string, permissions = "racwdxltf"): string {
  const fields = { sv: "2020-12-06", se: "2099-01-01T00:00:00Z", sr: "c", sp: permissions };
  const resource = `/blob/${ACCOUNT}/${container}`;
  const toSign = [fields.sp, "", fields.se, resource, "", "", "", fields.sv, fields.sr, "", "", "", "", "", "", ""].join("\n");
  const sig = createHmac("sha256", Buffer.from(KEY, "base64")).update(toSign).digest("base64");
  return new URLSearchParams({ ...fields, sig }).toString();
}

const ACCOUNT = "devstoreaccount1";
/** The key that Azurite gives to everybody. */
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
