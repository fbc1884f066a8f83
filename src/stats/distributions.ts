/**
 * The binomial and Student's t, through the regularized incomplete beta function. In: a value. Out: a probability.
 *
 * Formulas: NIST Digital Library of Mathematical Functions (DLMF) 8.17; log gamma by Lanczos (1964) with Godfrey's
 * coefficients for g = 7.
 */

const LANCZOS_G = 7;
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x > 0. */
export function logGamma(x: number): number {
  const z = x - 1;
  const base = z + LANCZOS_G + 0.5;
  let sum = LANCZOS[0] as number;
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] as number) / (z + i);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(base) - base + Math.log(sum);
}

/** I_x(a, b) for a, b > 0 and x in [0, 1]. @throws RangeError outside of them */
export function incompleteBeta(a: number, b: number, x: number): number {
  if (!(a > 0 && b > 0 && x >= 0 && x <= 1)) throw new RangeError(`no incomplete beta of a ${a}, b ${b}, x ${x}`);
  if (x === 0 || x === 1) return x;
  // The fraction converges fast below the mean; above it, the mirror image does (DLMF 8.17.4).
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, 1 - x);
  const logFront = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
  return (Math.exp(logFront) / a) * betaFraction(a, b, x);
}

/** The terms needed grow with the root of the larger parameter: this is enough for tens of millions of samples. */
const MOST_TERMS = 100_000;
const TINY = 1e-300;

/** DLMF 8.17.22, evaluated by the modified method of Lentz (1976). */
function betaFraction(a: number, b: number, x: number): number {
  const apartFromZero = (value: number) => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / apartFromZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= MOST_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / apartFromZero(1 + even * d);
    c = apartFromZero(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / apartFromZero(1 + odd * d);
    c = apartFromZero(1 + odd / c);
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-15) return fraction;
  }
  throw new RangeError(`the incomplete beta of a ${a}, b ${b}, x ${x} did not converge`);
}

/** P(B <= k) for B of n trials that each succeed with probability p. DLMF 8.17.5 */
export function binomialCdf(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  if (k >= n) return 1;
  return incompleteBeta(n - k, k + 1, 1 - p);
}

/** P(|T| >= |t|) of Student's t with `freedom` degrees of freedom, which need not be whole. */
export function studentTwoSided(t: number, freedom: number): number {
  return incompleteBeta(freedom / 2, 0.5, freedom / (freedom + t * t));
}
