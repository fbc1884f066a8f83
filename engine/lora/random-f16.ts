/**
 * Seeded random weights as f16 bits, by integer arithmetic alone: the twin of kernels/random-weights.wgsl, so that
 * TypeScript, WGSL and numpy agree to the bit. Values are uniform in (-a, a) with a = gain * sqrt(3 / in): variance gain² / in.
 */

/** Chris Wellons' lowbias32 (github.com/skeeto/hash-prospector). */
export function lowbias32(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * Names one tensor of one model or adapter. Streams are hash(index ^ key): those of two tensors whose keys agree above the
 * bits of an index hold the same values in another order, which matters to nothing that is measured here.
 */
export const tensorKey = (seed: number, layer: number, tensor: number): number =>
  lowbias32((lowbias32((seed + 1) >>> 0) + layer * 64 + tensor) >>> 0);

/** Which tensor of a layer; embeddings and head belong to layer 0xffff. */
export const TENSOR = {
  q: 1,
  k: 2,
  v: 3,
  o: 4,
  gate: 5,
  up: 6,
  down: 7,
  embed: 8,
  head: 9,
  loraA: 16,
  loraB: 32,
} as const;
export const OUTSIDE_LAYERS = 0xffff;

export interface Amplitude {
  /** a * 2^exponent, 32768..65535. */
  magnitude: number;
  exponent: number;
  /** Smallest m: 2^(exponent - 14), below which the f16 would be subnormal; at least 1. */
  smallest: number;
}

export function amplitudeOf(fanIn: number, gain: number): Amplitude {
  const a = gain * Math.sqrt(3 / fanIn);
  let exponent = 15 - Math.floor(Math.log2(a));
  let magnitude = Math.round(a * 2 ** exponent);
  if (magnitude > 65535) {
    exponent--;
    magnitude = Math.round(a * 2 ** exponent);
  }
  return { magnitude, exponent, smallest: exponent > 14 ? 2 ** (exponent - 14) : 1 };
}

/** f16 bits of element `index` (row * in + column). */
export function f16Bits(index: number, key: number, { magnitude, exponent, smallest }: Amplitude): number {
  const h = lowbias32((index ^ key) >>> 0);
  const m = Math.max(((h & 0x7fff) * magnitude) >>> 15, smallest);
  const e = 31 - Math.clz32(m);
  return ((h >>> 31) << 15) | ((e + 15 - exponent) << 10) | (((m << (15 - e)) >>> 5) & 0x3ff);
}

/** The number that f16 bits stand for (no subnormals, infinities or NaN here). */
export const f16Value = (bits: number): number =>
  (bits & 0x8000 ? -1 : 1) * 2 ** (((bits >> 10) & 31) - 15) * (1 + (bits & 0x3ff) / 1024);
