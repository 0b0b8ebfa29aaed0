import { inject } from "vitest";
import type { Engine } from "../../src/core/crypto/engine/engine.ts";
import { nodeEngine } from "../../src/core/crypto/engine/node.ts";
import { moduleIn } from "../support/native-package.ts";

// `#engine` in the project "node-native": what node.ts is where the package is installed, which in this repository it is not.

export const engine: Engine = nodeEngine("node-native", moduleIn(inject("nativeApplication")));

const { without } = engine.info();
if (without !== undefined) throw new Error(without.message);
