export { type LocalKeyOptions, localKey } from "./local-key.ts";
