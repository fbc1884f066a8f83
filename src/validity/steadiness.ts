/**
 * Were latencies steady? In: what a run's steady state was judged by. Out: steady, trending or unknown, and what to say of it.
 *
 * Trending is a change of more than 10% that chance brings about in at most one run of twenty. Where many runs are judged,
 * one in twenty will be such a chance: judgeTrends() then corrects for all of them.
 */
import { isMaterial, NOT_SETTLED } from '../metrics/steady-state.ts';
import type { SteadyDetail, Validity } from '../result/schema.ts';
import { holm } from '../stats/holm.ts';

/** The share of steady runs, or of sweeps all of whose runs are, that may be taken for trending. */
const ALPHA = 0.05;

export function steadinessOf(detail: SteadyDetail, p = detail.pTrend): Validity['steady'] {
  if (p !== null && p <= ALPHA && detail.drift !== null && isMaterial(detail.drift)) return 'trending';
  return detail.why === null ? 'steady' : 'unknown';
}

/** null for a run that is steady, and for one that is too short to tell or not meant to be. */
export function steadyWarning(steady: Validity['steady'], { metric, drift, pTrend, why }: SteadyDetail): string | null {
  if (steady === 'unknown' && why === NOT_SETTLED) {
    return `${why}: those of its first half are left out, and the others may not be steady either`;
  }
  if (steady !== 'trending' || drift === null) return null;
  const change = `${drift > 0 ? 'rose' : 'fell'} by ${Math.abs(100 * drift).toFixed(0)}%`;
  return `latencies were not steady: ${metric} ${change} over the requests it is of (p = ${(pTrend ?? 1).toPrecision(1)}), so its figures are of no one state`;
}

/**
 * The same runs judged together: those that only seemed to trend because so many were tried are steady, and no longer
 * warned of (Holm 1979, over every run for which there is a p).
 */
export function judgeTrends(runs: readonly Validity[]): Validity[] {
  const tested = runs.flatMap(({ steadyDetail }, i) =>
    steadyDetail?.pTrend == null ? [] : [{ i, p: steadyDetail.pTrend }],
  );
  const adjusted = holm(tested.map(({ p }) => p));
  const together = new Map(tested.map(({ i }, place) => [i, adjusted[place] as number]));
  return runs.map((run, i) => {
    const { steadyDetail: detail } = run;
    const p = together.get(i);
    if (detail === undefined || p === undefined) return run;
    const steady = steadinessOf(detail, p);
    if (steady === run.steady) return run;
    const [before, after] = [steadyWarning(run.steady, detail), steadyWarning(steady, detail)];
    const others = run.warnings.filter((warning) => warning !== before);
    return { ...run, steady, warnings: after === null ? others : [...others, after] };
  });
}
