import { randomBytes } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { engine } from "../src/core/crypto/engine/portable.ts";

// Whether time tells a secret: Welch's t-test between two classes of input (dudect, Reparaz et al. 2017). The slowest tenth is cut off. The
// custom is to call |t| above 4.5 a leak. noble's AES, which looks up tables, is the control: a machine on which it does not show cannot
// show anything.

/** One secret, of two classes. Both are copied from tables of one size, so that only their values differ. */
interface Probe {
  readonly name: string;
  readonly samples: number;
  /** Takes the next input of a class. */
  prepare(isRandom: boolean): void;
  run(): unknown;
}

export function timingTable(): string {
  const rows = probes().map((probe) => `| ${probe.name} | ${probe.samples} | ${welch(probe).toFixed(2)} |`);
  return ["| operation | samples | t |", "| --- | ---: | ---: |", ...rows].join("\n");
}

function probes(): readonly Probe[] {
  const { coarse } = engine;
  if (coarse === undefined) throw new Error("this runtime has no WebAssembly module");
  const xaes = coarse.xaes(randomBytes(32));
  if (xaes === undefined) throw new Error("the module takes no key");
  const aad = new Uint8Array(100);
  const plaintext = new Uint8Array(64);
  const sealed = new Uint8Array(104);
  xaes.sealFresh(aad, plaintext, sealed, 0);
  const [first, last] = [88, 103].map((at) => sealed.map((byte, place) => (place === at ? byte ^ 1 : byte)));
  const key = new Uint8Array(32);
  const text = new Uint8Array(64);
  const nonce = new Uint8Array(12);
  const target = new Uint8Array(104);
  let wrong = sealed;
  return [
    {
      name: "module, AES-256-GCM of 64 B: key of zeros or random",
      samples: SAMPLES,
      prepare: (isRandom) => fill(key, isRandom),
      run: () => engine.gcm.seal(key, nonce, aad, plaintext, target, 0),
    },
    {
      name: "module, XAES-256-GCM of 64 B: plaintext of zeros or random",
      samples: SAMPLES,
      prepare: (isRandom) => fill(text, isRandom),
      run: () => xaes.sealFresh(aad, text, target, 0),
    },
    {
      name: "module, XAES-256-GCM of 64 B: first or last byte of the tag wrong",
      samples: SAMPLES,
      prepare: (isRandom) => {
        wrong = (isRandom ? first : last) ?? sealed;
      },
      run: () => xaes.open(aad, wrong, 0),
    },
    {
      name: "module, HKDF-SHA-512: key of zeros or random",
      samples: SAMPLES,
      prepare: (isRandom) => fill(key, isRandom),
      run: () => coarse.expand("sha512", key, [aad], 76),
    },
    {
      name: "control, noble AES-256-GCM of 64 B: key of zeros or random",
      samples: SAMPLES / 4,
      prepare: (isRandom) => fill(key, isRandom),
      run: () => gcm(key, nonce, aad).encrypt(plaintext),
    },
  ];
}

function welch({ samples, prepare, run }: Probe): number {
  const times: [number[], number[]] = [[], []];
  const classes = randomBytes(samples);
  for (let sample = -WARM_UP; sample < samples; sample++) {
    const isRandom = ((classes[Math.max(sample, 0)] ?? 0) & 1) === 1;
    prepare(isRandom);
    const start = process.hrtime.bigint();
    for (let call = 0; call < CALLS; call++) run();
    const taken = Number(process.hrtime.bigint() - start);
    if (sample >= 0) times[isRandom ? 1 : 0].push(taken);
  }
  const sorted = times.flat().sort((a, b) => a - b);
  const longest = sorted[Math.floor(sorted.length * 0.9)] ?? 0;
  const [a, b] = times.map((all) => statisticsOf(all.filter((time) => time <= longest)));
  return a === undefined || b === undefined ? Number.NaN : (a.mean - b.mean) / Math.sqrt(a.spread + b.spread);
}

function statisticsOf(values: readonly number[]): { readonly mean: number; readonly spread: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, spread: variance / values.length };
}

const INPUTS = 4096;
const RANDOM = randomBytes(INPUTS * 64);
/** Written to, else all of its pages are one page of the system's, which stays in the cache. */
const ZEROS: Uint8Array = randomBytes(INPUTS * 64).fill(0);
let turn = 0;

function fill(target: Uint8Array, isRandom: boolean): void {
  turn = (turn + 1) % INPUTS;
  target.set((isRandom ? RANDOM : ZEROS).subarray(turn * 64, turn * 64 + target.length));
}

const SAMPLES = 120_000;
const WARM_UP = 20_000;
const CALLS = 4;
