/**
 * Seeded random values for made adapters: the same numbers for the same seed on every machine, by integer arithmetic and
 * one multiplication each. In: which tensor, how many, how large. Out: numbers of mean 0.
 */
import { lowbias32, tensorKey } from '../lora/random-f16.ts';

/** Which of an adapter's tensors: each part of each module has its own stream. */
export const PARTS = ['a', 'b', 'magnitude', 'inner', 'outer'] as const;
export type Part = (typeof PARTS)[number];

const MODULES_PER_PART = 8;

/** A stream of its own for every seed, layer, module (its place in MODULES) and part. */
export const streamKey = (seed: number, layer: number, module: number, part: Part): number =>
  tensorKey(seed, layer, PARTS.indexOf(part) * MODULES_PER_PART + module);

/** Uniform in (-a, a) with a = rms · √3, so that their root mean square is `rms`. About 4 ns each. */
export function randomValues(count: number, key: number, rms: number): Float32Array {
  const step = (rms * Math.sqrt(3)) / 2 ** 31;
  const values = new Float32Array(count);
  // Odd multiples of half a step: no value is 0, so that no row of B is.
  for (let i = 0; i < count; i++) values[i] = ((lowbias32((i ^ key) >>> 0) | 0) + 0.5) * step;
  return values;
}

/** `middle[i % middle.length]` times 1 ± `spread`, uniformly: factors that are near each other and never 0. */
export function scatteredValues(count: number, key: number, middle: ArrayLike<number>, spread: number): Float32Array {
  const offsets = randomValues(count, key, spread / Math.sqrt(3));
  return offsets.map((offset, i) => middle[i % middle.length]! * (1 + offset));
}
