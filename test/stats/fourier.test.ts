/** The fast transform against the sum that defines it. */
import { expect, it } from 'vitest';
import { transform } from '../../src/stats/fourier.ts';
import { normal, randomOf } from './series.ts';

it.each([1, 2, 8, 64])('agrees with the definition for %i points', (n) => {
  const random = randomOf(n);
  const real = Float64Array.from({ length: n }, () => normal(random));
  const imaginary = Float64Array.from({ length: n }, () => normal(random));
  const [re, im] = [real.slice(), imaginary.slice()];
  transform(re, im);
  for (let k = 0; k < n; k++) {
    let [x, y] = [0, 0];
    for (let i = 0; i < n; i++) {
      const angle = (-2 * Math.PI * i * k) / n;
      x += real[i]! * Math.cos(angle) - imaginary[i]! * Math.sin(angle);
      y += real[i]! * Math.sin(angle) + imaginary[i]! * Math.cos(angle);
    }
    expect(re[k]).toBeCloseTo(x, 10);
    expect(im[k]).toBeCloseTo(y, 10);
  }
});

it('refuses what is no power of two', () => {
  expect(() => transform(new Float64Array(3), new Float64Array(3))).toThrow(RangeError);
  expect(() => transform(new Float64Array(4), new Float64Array(2))).toThrow(RangeError);
  expect(() => transform(new Float64Array(0), new Float64Array(0))).toThrow(RangeError);
});
