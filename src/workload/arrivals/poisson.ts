/**
 * A Poisson process: independent exponential gaps of mean 1/rate, -ln(1 - u)/rate for uniform u (inverse transform). The
 * first arrival comes after a gap too. Unlike rescaled gaps, these keep the process's own variation in how many come.
 */
import type { Rng } from '../rng.ts';

const NS_PER_SECOND = 1e9;

/** Offsets from the start of the run in whole nanoseconds, rising. `rate` in requests a second. */
export function* poissonArrivals(rate: number, rng: Rng): Generator<number, never> {
  let seconds = 0;
  while (true) {
    seconds -= Math.log1p(-rng.unit()) / rate;
    yield Math.round(seconds * NS_PER_SECOND);
  }
}
