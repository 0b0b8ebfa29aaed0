// node --expose-gc fuzz-program.mjs FILE CALLS SEED: calls every function of a build of src/native/envelock.c with arguments of every kind
// and at every border, with the collector at random. Ends with 0 if each call answered as it may, or threw a TypeError of its own.
import { createRequire } from "node:module";
import { isUint8Array } from "node:util/types";

const [file, calls = "2000", seed = "1"] = process.argv.slice(2);
const native = createRequire(import.meta.url)(file);

let state = Number(seed) >>> 0;
function random(below) {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
}
const one = (choices) => choices[random(choices.length)];

const LENGTHS = [
  0, 1, 15, 16, 17, 24, 32, 39, 40, 41, 44, 56, 64, 71, 72, 73, 100, 984, 985, 1024, 16383, 16384, 16385, 16400, 32800, 32872,
];
const NUMBERS = [
  0,
  -0,
  -1,
  1,
  1.5,
  31,
  32,
  33,
  983,
  984,
  985,
  1024,
  1025,
  8704,
  8705,
  2 ** 31,
  2 ** 32,
  2 ** 48,
  2 ** 48 + 1,
  2 ** 53,
  2 ** 64,
];
const CANARY = 32;

function bytes(length = one(LENGTHS)) {
  switch (random(9)) {
    case 0:
      return new Uint8Array(length);
    case 1:
      return Buffer.alloc(length, 7);
    case 2:
      return new Uint8Array(new ArrayBuffer(length, { maxByteLength: length + 64 })); // follows its buffer
    default: {
      const whole = new Uint8Array(length + 2 * CANARY).fill(0xa5);
      return whole.subarray(CANARY, CANARY + length);
    }
  }
}

/** Memory that is gone, shared, or no Uint8Array. */
function strangeBytes() {
  const length = one(LENGTHS);
  switch (random(10)) {
    case 0: {
      const detached = new Uint8Array(length);
      structuredClone(detached, { transfer: [detached.buffer] });
      return detached;
    }
    case 1: {
      const buffer = new ArrayBuffer(length + 64, { maxByteLength: length + 128 });
      const outside = new Uint8Array(buffer, 32, length);
      buffer.resize(random(64)); // it now ends before the array does, or before it begins
      return outside;
    }
    case 2: {
      const buffer = new ArrayBuffer(length, { maxByteLength: length + 128 });
      const grown = new Uint8Array(buffer);
      buffer.resize(length + random(128));
      return grown;
    }
    case 3:
      return new Uint8Array(new SharedArrayBuffer(length));
    case 4:
      return new Uint8Array(new SharedArrayBuffer(length, { maxByteLength: length + 64 }));
    case 5:
      return new (one([Int8Array, Uint8ClampedArray, Uint16Array, Float64Array, BigInt64Array]))(length);
    case 6:
      return new DataView(new ArrayBuffer(length));
    case 7:
      return new ArrayBuffer(length);
    case 8:
      return new Proxy(new Uint8Array(length), {});
    default:
      return Object.create(Uint8Array.prototype);
  }
}

const TEXTS = [
  "",
  "a",
  "text",
  "\u{e9}\u{20ac}\u{1d11e}",
  "\u{d800}",
  "x\u{dfff}",
  "\u{fffd}",
  "A".repeat(96),
  "-_".repeat(700),
  "=",
  "\u{141}AAA",
];
function text() {
  if (random(3) > 0) return one(TEXTS);
  return one(["z", "\u{20ac}", "\u{1d11e}"]).repeat(one([1365, 1366, 4095, 4096, 4097, 5557, 5561, 6000, 70_000]));
}

const NOTHING = [undefined, null, "", 1n, Symbol("s"), {}, [], () => 1, new Date(), /x/, new Map(), Number.NaN, Infinity];
function argument(kind) {
  if (random(12) === 0) return one(NOTHING);
  if (random(12) === 0) return argument(one(["size", "bytes", "kept", "flag", "text"]));
  if (kind === "size") return random(3) > 0 ? random(120) : one(NUMBERS);
  if (kind === "flag") return one([true, false]);
  if (kind === "text") return text();
  if (random(5) === 0) return strangeBytes();
  return kind === "kept" ? bytes(64) : bytes();
}

const SHAPES = {
  random: ["size"],
  prepare: ["kept"],
  seal: ["kept", "size", "size", "flag"],
  open: ["kept", "size", "size"],
  sealInto: ["kept", "size", "bytes", "bytes", "size"],
  openInto: ["kept", "size", "bytes", "size", "bytes"],
  sealText: ["kept", "size", "size", "text"],
  openText: ["kept", "size", "size", "text"],
  expand: ["flag", "size", "size", "size"],
  sealChunks: ["size", "bytes", "flag", "bytes", "size"],
  openChunks: ["size", "bytes", "bytes", "size"],
  sealBody: ["size", "bytes", "bytes", "size"],
  openBody: ["size", "bytes", "bytes"],
  forget: [],
};
const functions = Object.keys(native).filter((name) => typeof native[name] === "function");
if (functions.sort().join() !== Object.keys(SHAPES).sort().join()) throw new Error(`other functions: ${functions}`);

/** What was sealed before, as it was or changed, with a target of just its length. */
function fitting(name) {
  const kept = new Uint8Array(64).fill(3);
  const plaintext = bytes();
  const opened = bytes(plaintext.length);
  const fillScratch = () => new Uint8Array(native.scratch).fill(5); // the key among it, which each call wipes
  fillScratch();
  if (name === "openInto") {
    const sealed = bytes(plaintext.length + 40);
    native.sealInto(kept, 9, plaintext, sealed, 0);
    return [kept, 9, changed(sealed), 0, opened];
  }
  if (name === "openText") {
    const token = native.sealText(kept, 9, 17, one(["", "text", "\u{e9}\u{20ac}\u{1d11e}".repeat(200)]));
    return [kept, random(2) === 0 ? 9 : 8, 17, token];
  }
  const length = plaintext.length + 16 * (Math.floor(plaintext.length / 16_384) + 1);
  if (name === "openChunks") {
    const sealed = bytes(length);
    native.sealChunks(5, plaintext, true, sealed, 0);
    fillScratch();
    return [5, changed(sealed), opened, 0];
  }
  if (name !== "openBody") return undefined;
  const body = bytes(length + 56);
  native.sealBody(9, plaintext, body, 0);
  fillScratch();
  return [9, changed(body), opened];
}

function changed(sealed) {
  if (random(2) === 0) sealed[random(sealed.length)] ^= 1 << random(8);
  return sealed;
}

const answers = new Map();
let answered = 0;
let refused = 0;
function call(name) {
  let given = SHAPES[name].map(argument);
  if (random(20) === 0) given = given.slice(0, random(given.length + 1));
  if (random(20) === 0) given.push(argument("bytes"));
  if (random(3) === 0 && native.scratch.byteLength > 0) given = fitting(name) ?? given;
  // half of the targets have just the room that is needed, where that can be told
  const input = given.findIndex((value) => isUint8Array(value) && value.length !== 64);
  if (name.startsWith("seal") && input >= 0 && random(2) === 0) {
    const target = given.findLastIndex((value) => isUint8Array(value));
    const need = given[input].length + one([40, 72, 16 * (Math.floor(given[input].length / 16384) + 1)]) + random(3) - 1;
    if (target > input) given[target] = bytes(Math.max(0, need));
  }
  try {
    const answer = native[name](...given);
    answered++;
    answers.set(
      name,
      (answers.get(name) ?? new Set()).add(typeof answer === "number" || typeof answer === "string" ? typeof answer : answer),
    );
    if (!["number", "boolean", "string", "undefined"].includes(typeof answer)) throw new Error(`${name} answered ${typeof answer}`);
  } catch (error) {
    if (!(error instanceof TypeError) || error.code !== "ERR_INVALID_ARG_VALUE") throw error;
    refused++;
  }
  for (const value of given) {
    if (!isUint8Array(value) || value.byteOffset !== CANARY || value.buffer.byteLength !== value.length + 2 * CANARY) continue;
    const whole = new Uint8Array(value.buffer);
    for (let at = 0; at < CANARY; at++) {
      if (whole[at] !== 0xa5 || whole[whole.length - 1 - at] !== 0xa5) throw new Error(`${name} wrote outside of its array`);
    }
  }
}

for (let at = 0; at < Number(calls); at++) {
  const name = one(functions);
  call(name);
  if (random(500) === 0) globalThis.gc?.();
  if (random(4) === 0) new Uint8Array(native.scratch).fill(random(256), random(18_592));
}
// the scratch is an ArrayBuffer like any other: whoever takes it away gets errors
structuredClone(native.scratch, { transfer: [native.scratch] });
globalThis.gc?.();
const before = answered;
for (let at = 0; at < 300; at++) call(one(functions.filter((name) => name !== "forget")));
if (answered !== before) throw new Error("something worked without its scratch");
if (answered < Number(calls) / 20 || refused < Number(calls) / 20)
  throw new Error(`too much alike: ${answered} answered, ${refused} refused`);
for (const name of functions) if (!answers.has(name)) throw new Error(`${name} never answered`);
for (const name of ["openInto", "openChunks", "openBody", "openText"])
  if (!answers.get(name).has(false)) throw new Error(`${name} never refused`);
for (const [name, answer] of [
  ["openInto", true],
  ["openBody", true],
  ["openChunks", "number"],
  ["openText", "string"],
]) {
  if (!answers.get(name).has(answer)) throw new Error(`${name} never opened`);
}
console.log(`${answered} answered, ${refused} refused`);
