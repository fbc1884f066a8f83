/**
 * How many independent samples a share is known as well as. In: for each request, in order of time, how many samples it gave
 * and how many of them lie above a percentile. Out: an effective number of samples, at least 1, at most all of them.
 *
 * Which samples lie above a percentile is the series whose mean its interval is about, so dependence is measured in it, not
 * in the latencies themselves: those are dominated by the bulk and say little about the tail. Samples of one request
 * depend on one another (they share its batch), and so do neighbours in time. With a(r) of s(r) samples above, share
 * p = Σa / Σs, z(r) = a(r) - p s(r): the variance of p is τ Σz² / (Σs)², τ the correlation time of z (Cochran 1977,
 * "Sampling Techniques", 6.4, for a ratio), where independent samples would have p (1 - p) / Σs. Their quotient is
 * the effective number (Woodruff 1952 for percentiles from such shares; Kish 1965, "design effect"). With one sample
 * a request that is n / τ.
 */
import { correlationTime } from './autocorrelation.ts';

export function effectiveSize(above: ArrayLike<number>, sizes: ArrayLike<number>): number {
  let count = 0;
  let exceeding = 0;
  for (let i = 0; i < sizes.length; i++) {
    count += sizes[i] as number;
    exceeding += above[i] as number;
  }
  const share = exceeding / count;
  const excess = new Float64Array(sizes.length);
  let squares = 0;
  for (let i = 0; i < sizes.length; i++) {
    const z = (above[i] as number) - share * (sizes[i] as number);
    excess[i] = z;
    squares += z * z;
  }
  if (!(squares > 0)) return count;
  const effective = (count * count * share * (1 - share)) / (squares * correlationTime(excess));
  return Math.min(count, Math.max(1, effective));
}
