/** Evenly spaced arrivals: the i-th at i/rate, from 0. Each is computed from its number, so that none drifts. */
const NS_PER_SECOND = 1e9;

/** Offsets from the start of the run in whole nanoseconds. `rate` in requests a second. */
export function* constantArrivals(rate: number): Generator<number, never> {
  for (let i = 0; ; i++) yield Math.round((i / rate) * NS_PER_SECOND);
}
