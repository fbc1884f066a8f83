/**
 * Where a series settles. In: a latency of successive requests, as logarithms. Out: how many to leave out from its start.
 *
 * MSER-5: over means of 5 requests, the cut d for which the mean of what stays is known best, that is, which minimizes
 * the squares about that mean over (m - d)²; at most half is cut (White 1997, "An Effective Truncation Heuristic for
 * Bias Reduction in Simulation Output"; Spratt 1998 for batches of 5; Hoad, Robinson & Davies 2008 chose it among 44
 * methods for automation). By itself it cuts something, though little, in a third to half of runs that have no warm-up. So
 * a cut stands only where what it leaves out, or the first half, quarter, eighth .. of that, differs from what stays by
 * more than a tenth and more than three standard errors. On models without a warm-up (AR(1), 100 to 2,000 requests) 0 to
 * 4% of runs are then cut at correlations of successive requests up to 0.5; at 0.9 11% of those of 100, 3% of those of 500.
 */
import { batchesOf, lagOne, worthOf } from './batch-means.ts';

const BATCH = 5;
/** 20 batches of 5: with fewer, cuts are mostly chance. */
export const LEAST_FOR_WARM_UP = 100;
/** A smaller difference, as a factor, is of no account. */
export const MARGIN = 1.1;
const STANDARD_ERRORS = 3;

export interface WarmUp {
  /** Values to leave out. */
  cut: number;
  /** The cut is the largest allowed: the series may settle later still, or never. */
  atLimit: boolean;
}

/** `logs` needs LEAST_FOR_WARM_UP values at least; with fewer, nothing is cut. */
export function warmUpOf(logs: ArrayLike<number>): WarmUp {
  if (logs.length < LEAST_FOR_WARM_UP) return { cut: 0, atLimit: false };
  const means = batchesOf(logs, BATCH);
  const batches = mserCut(means);
  if (!differs(means, batches)) return { cut: 0, atLimit: false };
  return { cut: BATCH * batches, atLimit: batches === limitOf(means.length) };
}

const limitOf = (count: number): number => Math.floor(count / 2);

/** The cut that MSER chooses among `means`: how many of them to leave out, at most half. */
export function mserCut(means: readonly number[]): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  let mean = 0;
  let squares = 0;
  // From the end, so that each cut adds one value to what stays (Welford 1962).
  for (let cut = means.length - 1; cut >= 0; cut--) {
    const stays = means.length - cut;
    const off = (means[cut] as number) - mean;
    mean += off / stays;
    squares += off * ((means[cut] as number) - mean);
    const error = squares / (stays * stays);
    if (cut > limitOf(means.length) || error > least) continue;
    least = error;
    best = cut;
  }
  return best;
}

/** Whether the first of `means` differ from those after `cut`: all that is cut, or its first half, quarter, eighth .. */
function differs(means: readonly number[], cut: number): boolean {
  const stays = means.slice(cut);
  const about = meanOf(stays);
  const variance = stays.reduce((sum, value) => sum + (value - about) ** 2, 0) / (stays.length - 1);
  const rho = lagOne(stays, 'mean');
  for (let first = cut; first >= 1; first = Math.floor(first / 2)) {
    const difference = Math.abs(meanOf(means.slice(0, first)) - about);
    const error = Math.sqrt(variance * (1 / worthOf(first, rho) + 1 / worthOf(stays.length, rho)));
    if (difference > Math.log(MARGIN) && difference > STANDARD_ERRORS * error) return true;
  }
  return false;
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
