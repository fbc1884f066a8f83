import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dealtRanks } from '../../src/plan/ranks.ts';

const mix = (shares: [number, number][]) => ({
  kind: 'mix' as const,
  shares: shares.map(([rank, weight]) => ({ rank, weight })),
});

test('equal shares alternate, unequal ones are spread', () => {
  expect(
    dealtRanks(
      mix([
        [8, 1],
        [64, 1],
      ]),
      5,
    ),
  ).toEqual([8, 64, 8, 64, 8]);
  expect(
    dealtRanks(
      mix([
        [8, 3],
        [64, 1],
      ]),
      8,
    ),
  ).toEqual([8, 8, 64, 8, 8, 8, 64, 8]);
  expect(dealtRanks({ kind: 'one', rank: 16 }, 3)).toEqual([16, 16, 16]);
});

test('a prefix of any deal is the deal of the prefix, and every rank stays within one of its share', () => {
  const shares = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 9 })), {
    minLength: 1,
    maxLength: 4,
    selector: ([rank]) => rank,
  });
  fc.assert(
    fc.property(shares, fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 60 }), (list, a, b) => {
      const dealt = dealtRanks(mix(list), Math.max(a, b));
      expect(dealt.slice(0, Math.min(a, b))).toEqual(dealtRanks(mix(list), Math.min(a, b)));
      const total = list.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [rank, weight] of list) {
        const had = dealt.filter((one) => one === rank).length;
        expect(Math.abs(had - (dealt.length * weight) / total)).toBeLessThanOrEqual(1);
      }
    }),
  );
});
