export { type BothOfOptions, bothOf, type DoubleKey, type Half } from "./both-of.ts";
export { type RewrapHalfOptions, rewrapHalf } from "./rewrap-half.ts";
export { type ThresholdOptions, threshold } from "./threshold.ts";
