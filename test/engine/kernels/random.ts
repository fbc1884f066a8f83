/**
 * Reproducible random numbers and f16 values for kernel tests. In: a seed. Out: numbers, or f16 bits with the exact value they
 * stand for, so that an oracle and a kernel start from the same inputs to the bit.
 */
import { f16Value } from '../../../engine/lora/random-f16.ts';

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** In [-1, 1), as an f32 holds it. */
  signed(): number;
  /** 0 .. below - 1. */
  below(below: number): number;
  shuffle<T>(values: T[]): T[];
}

/** A linear congruential generator modulo 2^32 (Numerical Recipes' constants); its low bits are weak and are dropped. */
export function randomFrom(seed: number): Random {
  let state = (seed * 2654435761 + 1) >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
  for (let i = 0; i < 4; i++) next();
  const below = (n: number): number => Math.floor(next() * n);
  return {
    next,
    signed: () => 2 * next() - 1,
    below,
    shuffle: (values) => {
      for (let i = values.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [values[i], values[j]] = [values[j] as never, values[i] as never];
      }
      return values;
    },
  };
}

export const floats = (random: Random, length: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length }, () => random.signed());

/** Random normal f16 numbers of magnitude 1/16 to 2. */
export interface Halves {
  bits: Uint16Array;
  values: Float64Array;
}

export function halves(random: Random, length: number): Halves {
  const bits = Uint16Array.from(
    { length },
    () => (random.below(2) << 15) | ((11 + random.below(5)) << 10) | random.below(1024),
  );
  return { bits, values: Float64Array.from(bits, f16Value) };
}

/** Two f16 in a word, the even one in the low half. */
export const pair = (low: number, high: number): number => (low | (high << 16)) >>> 0;
