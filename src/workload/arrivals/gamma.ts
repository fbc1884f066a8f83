/**
 * A renewal process with gamma gaps: mean 1/rate whatever the shape k, variance 1/(k rate^2), so that the gaps' squared
 * coefficient of variation is 1/k. k = 1 is a Poisson process; below it requests come in bursts, above it more evenly. It
 * is what vLLM's benchmark calls burstiness, without its rescaling of all gaps to a total of n/rate: that takes away the
 * variation in how many come. The first arrival comes after a gap too.
 *
 * Draws: G. Marsaglia, W. W. Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 26(3), 2000. For k < 1, as
 * given there, a draw of shape k + 1 times U^(1/k).
 */
import { standardNormal } from '../normal.ts';
import type { Rng } from '../rng.ts';

const NS_PER_SECOND = 1e9;

/** Offsets from the start of the run in whole nanoseconds, never falling. `rate` in requests a second; `shape` above 0. */
export function* gammaArrivals(rate: number, shape: number, rng: Rng): Generator<number, never> {
  let seconds = 0;
  while (true) {
    seconds += gammaDraw(shape, rng) / (shape * rate);
    yield Math.round(seconds * NS_PER_SECOND);
  }
}

/** A draw of mean `shape` and variance `shape` (scale 1). */
export function gammaDraw(shape: number, rng: Rng): number {
  if (shape < 1) return gammaDraw(shape + 1, rng) * (1 - rng.unit()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = standardNormal(rng);
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = 1 - rng.unit();
    // The first is cheap and nearly always enough; the second is exact.
    if (u < 1 - 0.0331 * x ** 4 || Math.log(u) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v;
  }
}
