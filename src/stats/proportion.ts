/**
 * How sure a share is, exactly. In: how many of how many. Out: one-sided bounds, or a p. Clopper & Pearson (1934), by the
 * incomplete beta function: P(B >= k) = I_p(k, n - k + 1) for B binomial (n, p) (DLMF 8.17.5).
 */
import { incompleteBeta } from './distributions.ts';

/** P of so many or more of `n`, where each has the probability `share`. */
export function atLeastP(k: number, n: number, share: number): number {
  return k <= 0 ? 1 : incompleteBeta(k, n - k + 1, share);
}

/** Each bound is wrong with probability `level` at most. @throws RangeError unless 0 <= k <= n, n > 0 */
export function shareBounds(k: number, n: number, level: number): { lower: number; upper: number } {
  if (!(n > 0 && k >= 0 && k <= n)) throw new RangeError(`no share of ${k} in ${n}`);
  return {
    lower: k === 0 ? 0 : shareWhere((share) => atLeastP(k, n, share) < level),
    upper: k === n ? 1 : shareWhere((share) => 1 - atLeastP(k + 1, n, share) > level),
  };
}

/** Where a condition that holds at 0 and not at 1 ends. */
function shareWhere(holds: (share: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
