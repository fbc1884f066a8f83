/**
 * How many requests a run takes for a threshold, and how many it will have. In: the threshold, the cell. Out: both, so far as they
 * can be told before anything runs.
 *
 * A percentile takes as many samples as make it more than the largest of them (aggregation.ts); of a single run, which has to
 * carry its own interval, as many as that takes. Whether latencies are steady takes 100 requests under the full load, so
 * without those of the ramp up to it and of its end (metrics/steady-state.ts).
 */
import { meanTokens } from '../plan/lengths-range.ts';
import type { Cell } from '../plan/plan.ts';
import { CONFIDENCE } from '../stats/percentile-interval.ts';
import { LEAST_FOR_WARM_UP } from '../stats/warm-up.ts';
import { isPercentile, leastSamples } from './aggregation.ts';
import { TIMELESS } from './run-faults.ts';
import type { Threshold } from './threshold.ts';

export interface Needed {
  requests: number;
  /** What takes so many. */
  why: string;
}

/** null where any number will do. */
export function requestsNeeded(threshold: Threshold, cell: Cell, singleRun: boolean): Needed | null {
  const needs = [forPercentile(threshold, cell, singleRun), forSteadiness(threshold, cell)].filter(
    (one) => one !== null,
  );
  return needs.reduce<Needed | null>((most, one) => (most === null || one.requests > most.requests ? one : most), null);
}

/** null where a run ends by time and the server decides how many that is. */
export function requestsPlanned({ measure, load }: Cell): number | null {
  if ('requests' in measure) return measure.requests;
  return load.kind === 'open' ? Math.floor((load.rate * measure.durationMs) / 1000) : null;
}

/** Metrics with a sample for each token but the first. */
const OF_TOKENS = /^(itl|chunk_gap)$/;

function forPercentile({ metric, aggregation, rule }: Threshold, cell: Cell, singleRun: boolean): Needed | null {
  if (!isPercentile(aggregation)) return null;
  const alone = singleRun && rule.kind === 'absolute';
  const samples = alone ? leastSamples(aggregation, (1 - CONFIDENCE) / 2) : leastSamples(aggregation);
  const each = OF_TOKENS.test(metric) ? Math.max(1, meanTokens(cell.output.lengths) - 1) : 1;
  return {
    requests: Math.ceil(samples / each) + rampOf(cell),
    why: alone
      ? `an interval of the ${aggregation} of a single run`
      : `a ${aggregation} that is more than the largest value`,
  };
}

function forSteadiness({ metric, rule }: Threshold, cell: Cell): Needed | null {
  const judged = rule.kind === 'absolute' || rule.kind === 'relative';
  if (!judged || TIMELESS.test(metric) || isUnsteadyByNature(cell)) return null;
  return { requests: LEAST_FOR_WARM_UP + 2 * rampOf(cell), why: 'telling whether latencies were steady' };
}

/** Requests of the ramp, and as many of the end. */
const rampOf = ({ load }: Cell): number => (load.kind === 'closed' ? load.concurrency - 1 : 0);

const isUnsteadyByNature = ({ at, load }: Cell): boolean =>
  at.residency === 'cold_host' || at.residency === 'cold_disk' || (load.kind === 'open' && load.arrivals === 'trace');
