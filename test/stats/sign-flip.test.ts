/** The sign-flip test against scipy's enumeration, and against its own definition. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MOST_PAIRS, signFlipP } from '../../src/stats/sign-flip.ts';
import { golden } from './series.ts';

it.each(golden.flips)('p of $values', ({ values, p }) => {
  expect(signFlipP(values)).toBeCloseTo(p, 12);
});

it('is the share of all choices of signs, ties included', () => {
  const whole = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(whole, (values) => {
      const seen = values.reduce((sum, d) => sum + d, 0);
      let enough = 0;
      for (let signs = 0; signs < 2 ** values.length; signs++) {
        if (values.reduce((sum, d, i) => sum + ((signs >> i) & 1 ? d : -d), 0) >= seen) enough++;
      }
      expect(signFlipP(values)).toBe(enough / 2 ** values.length);
    }),
  );
});

it('is 2^-k at the least, and quick for 20 pairs', () => {
  const started = performance.now();
  expect(signFlipP(Array.from({ length: 20 }, (_, i) => 0.1 + i / 7))).toBe(2 ** -20);
  expect(performance.now() - started).toBeLessThan(500);
});

it('says null where there are too many ways, and refuses what is no difference', () => {
  expect(signFlipP(new Array(MOST_PAIRS + 1).fill(1))).toBe(null);
  expect(() => signFlipP([])).toThrow(RangeError);
  expect(() => signFlipP([1, Number.NaN])).toThrow(RangeError);
});
