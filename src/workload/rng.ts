/**
 * Seeded random numbers. One seed gives many independent streams by name ("arrivals", "lengths", ..), so that drawing
 * more from one never shifts another: the same seed keeps the same arrival times when only lengths change.
 *
 * The generator is xoroshiro128+ (pure-rand); its 128 bits of state come from sha256 of seed and name, since seeds that
 * differ in one bit would otherwise start with related numbers.
 */
import { createHash } from 'node:crypto';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

export interface Rng {
  /** In [0, 1). */
  unit(): number;
  /** A whole number from 0 to below `n`; n at least 1. */
  below(n: number): number;
  /** In place, every order equally likely (Fisher-Yates). */
  shuffle<T>(items: T[]): T[];
}

/** The stream of that name. Names are joined by a character that none of them holds, so ("a", "b") is not ("ab"). */
export function rngOf(seed: number, ...names: (string | number)[]): Rng {
  const digest = createHash('sha256')
    .update([seed, ...names].join('\u0000'))
    .digest();
  const words = [0, 4, 8, 12].map((offset) => digest.readInt32LE(offset));
  const generator = xoroshiro128plusFromState(words);
  const below = (n: number) => uniformInt(generator, 0, n - 1);
  return {
    unit: () => uniformFloat64(generator),
    below,
    shuffle(items) {
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [items[i], items[j]] = [items[j]!, items[i]!];
      }
      return items;
    },
  };
}
