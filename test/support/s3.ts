import { createRequire } from "node:module";
import { join } from "node:path";
import { installed } from "./npm-tools.ts";

/** AWS's packages for S3 as they are installed for tests: they are too large to be devDependencies. */
export interface S3Sdk {
  /** `@aws-sdk/client-s3` */
  readonly s3: ReturnType<NodeJS.Require>;
  /** `@aws-sdk/lib-storage` */
  readonly storage: ReturnType<NodeJS.Require>;
  /** `@aws-sdk/s3-request-presigner` */
  readonly presigner: ReturnType<NodeJS.Require>;
  /** `@smithy/node-http-handler` */
  readonly http: ReturnType<NodeJS.Require>;
}

export function s3Sdk(): S3Sdk {
  const modules = installed("foreign", [
    "@aws-sdk/lib-storage@3.1175.0",
    "@aws-sdk/client-s3@3.1175.0",
    "@aws-sdk/s3-request-presigner@3.1169.0",
    "@smithy/node-http-handler@4.14.2",
  ]);
  const load = createRequire(join(modules, "..", "package.json"));
  return {
    s3: load("@aws-sdk/client-s3"),
    storage: load("@aws-sdk/lib-storage"),
    presigner: load("@aws-sdk/s3-request-presigner"),
    http: load("@smithy/node-http-handler"),
  };
}
