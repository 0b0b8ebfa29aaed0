import { createHash, getFips } from "node:crypto";
import type { Md5 } from "./md5.ts";
import { md5 as portableMd5 } from "./portable.ts";

/** Node's own, except where its policy forbids MD5. */
export const md5: Md5 = (bytes) => (getFips() === 1 ? portableMd5(bytes) : createHash("md5").update(bytes).digest());
