/** Nearest rank against known answers, and against counting by hand over random samples. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearestRank, rankOf } from '../../src/stats/nearest-rank.ts';

describe('rankOf', () => {
  it('is the ceiling of p times n, without floating-point surprises', () => {
    expect(rankOf(0.5, 5)).toBe(3);
    expect(rankOf(0.5, 4)).toBe(2);
    expect(rankOf(0.99, 100)).toBe(99);
    expect(rankOf(0.99, 99)).toBe(99);
    expect(rankOf(0.07, 100)).toBe(7); // 0.07 * 100 is 7.000000000000001
    expect(rankOf(0.999, 1000)).toBe(999);
    expect(rankOf(1, 7)).toBe(7);
    expect(rankOf(0.001, 7)).toBe(1);
  });

  it('agrees with integer arithmetic for every per mille and many sizes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 2_000_000 }), (perMille, n) => {
        expect(rankOf(perMille / 1000, n)).toBe(Number((BigInt(perMille) * BigInt(n) + 999n) / 1000n));
      }),
    );
  });

  it('refuses what has no answer', () => {
    expect(() => rankOf(0, 5)).toThrow(RangeError);
    expect(() => rankOf(1.01, 5)).toThrow(RangeError);
    expect(() => rankOf(Number.NaN, 5)).toThrow(RangeError);
    expect(() => rankOf(0.5, 0)).toThrow(RangeError);
  });
});

describe('nearestRank', () => {
  it('gives the textbook example: 15, 20, 35, 40, 50', () => {
    const scores = [15, 20, 35, 40, 50];
    expect([0.05, 0.3, 0.4, 0.5, 1].map((p) => nearestRank(scores, p))).toEqual([15, 20, 20, 35, 50]);
  });

  it('is the smallest sample that at least a share p of the samples does not exceed', () => {
    const values = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 1000 }), (samples, perMille) => {
        const ascending = samples.toSorted((a, b) => a - b);
        const enough = (x: number) => 1000 * samples.filter((s) => s <= x).length >= perMille * samples.length;
        expect(nearestRank(ascending, perMille / 1000)).toBe(ascending.find(enough));
      }),
    );
  });
});
