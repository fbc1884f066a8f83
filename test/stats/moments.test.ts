/** Mean and deviation against known answers and the two-pass definition. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { moments } from '../../src/stats/moments.ts';

it('gives the sample mean and deviation', () => {
  expect(moments([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ count: 8, mean: 5, std: Math.sqrt(32 / 7) });
  expect(moments([3])).toEqual({ count: 1, mean: 3, std: 0 });
  expect(() => moments([])).toThrow(RangeError);
  expect(() => moments([1], [0])).toThrow(RangeError);
});

it('stays accurate for nanoseconds far from zero', () => {
  const far = 4e15;
  expect(moments([far, far + 1, far + 2])).toEqual({ count: 3, mean: far + 1, std: 1 });
});

it('treats a weight as repetition', () => {
  const pair = fc.record({ value: fc.integer({ min: -1000, max: 1000 }), weight: fc.integer({ min: 1, max: 6 }) });
  fc.assert(
    fc.property(fc.array(pair, { minLength: 1, maxLength: 30 }), (pairs) => {
      const repeated = pairs.flatMap(({ value, weight }) => new Array<number>(weight).fill(value));
      const mean = repeated.reduce((sum, value) => sum + value, 0) / repeated.length;
      const squares = repeated.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      const got = moments(
        pairs.map(({ value }) => value),
        pairs.map(({ weight }) => weight),
      );
      expect(got.count).toBe(repeated.length);
      expect(got.mean).toBeCloseTo(mean, 8);
      expect(got.std).toBeCloseTo(repeated.length > 1 ? Math.sqrt(squares / (repeated.length - 1)) : 0, 6);
    }),
  );
});
