import type { Engine } from "./engine.ts";
import { nodeCrypto } from "./node.ts";

/** node:crypto alone. For processes that start with `--conditions=envelock-node`: `@envelock/native` is not even looked for. */
export const engine: Engine = {
  ...nodeCrypto,
  name: "node",
  coarse: undefined,
  info: () => ({ name: "node", without: { part: "native", reason: "refused", message: "the import condition envelock-node" } }),
};
