/** Special functions and tails against scipy's. */
import { expect, it } from 'vitest';
import { binomialCdf, incompleteBeta, logGamma, studentTwoSided } from '../../src/stats/distributions.ts';
import { golden } from './series.ts';

/** As a share of the value. */
const off = (got: number, want: number): number => Math.abs(got - want) / Math.max(1e-300, Math.abs(want));

it.each(golden.gamma)('ln Γ($x)', ({ x, value }) => {
  if (value === 0) expect(Math.abs(logGamma(x))).toBeLessThan(1e-13);
  else expect(off(logGamma(x), value)).toBeLessThan(1e-13);
});

it.each(golden.beta)('I_$x($a, $b)', ({ a, b, x, value }) => {
  expect(off(incompleteBeta(a, b, x), value)).toBeLessThan(a > 1e6 ? 1e-7 : 1e-11);
});

it.each(golden.student)("P(|T| >= |$t|) of Student's t with $freedom degrees", ({ t, freedom, p }) => {
  expect(off(studentTwoSided(t, freedom), p)).toBeLessThan(1e-11);
});

it.each(golden.binomial)('P(B <= $k) of $n trials at $p', ({ k, n, p, value }) => {
  expect(off(binomialCdf(k, n, p), value)).toBeLessThan(n > 1e6 ? 1e-7 : 1e-10);
});

it('has ends, and refuses what has no answer', () => {
  expect([binomialCdf(-1, 5, 0.3), binomialCdf(5, 5, 0.3), binomialCdf(9, 5, 0.3)]).toEqual([0, 1, 1]);
  expect([incompleteBeta(2, 3, 0), incompleteBeta(2, 3, 1)]).toEqual([0, 1]);
  expect(() => incompleteBeta(0, 1, 0.5)).toThrow(RangeError);
  expect(() => incompleteBeta(1, 1, Number.NaN)).toThrow(RangeError);
});
