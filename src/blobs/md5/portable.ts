import { md5 as nobleMd5 } from "@noble/hashes/legacy.js";
import type { Md5 } from "./md5.ts";

export const md5: Md5 = (bytes) => nobleMd5(bytes);
