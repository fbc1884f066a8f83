import fc from 'fast-check';
import { expect, test } from 'vitest';
import { didYouMean, editDistance } from '../../src/scenario/did-you-mean.ts';

test('distances that are known', () => {
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(editDistance('rnak', 'rank')).toBe(1); // neighbours swapped
  expect(editDistance('', 'abc')).toBe(3);
});

test('the distance is symmetric and no longer than the longer word', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(editDistance(a, a)).toBe(0);
    }),
  );
});

test('suggests the nearest name, and none that is far off', () => {
  const keys = ['rank', 'count', 'popularity', 'base_share'];
  expect(didYouMean('rnak', keys)).toBe('rank');
  expect(didYouMean('cuont', keys)).toBe('count');
  expect(didYouMean('Popularty', keys)).toBe('popularity');
  expect(didYouMean('temperature', keys)).toBe(null);
  expect(didYouMean('x', [])).toBe(null);
});
