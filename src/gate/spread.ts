/**
 * How much each figure spreads from pair to pair, from pairs that were measured. In: thresholds, pairs. Out: by threshold the
 * logarithms of its pairs' ratios, worse positive, as the judge takes them.
 */

import { moments } from '../stats/moments.ts';
import { ratioOf } from './compare.ts';
import type { CheckedThreshold, PairedRuns } from './judgement.ts';
import { runValue } from './run-value.ts';

/** Only pairs of which both runs have the figure, exactly. */
export function differencesOf({ threshold, cell }: CheckedThreshold, pairs: readonly PairedRuns[]): number[] {
  const { rule } = threshold;
  if (rule.kind !== 'relative') return [];
  return pairs.flatMap(({ cell: of, a, b }) => {
    if (of !== cell || a === null || b === null || a.state !== 'done' || b.state !== 'done') return [];
    const [va, vb] = [runValue(a, threshold), runValue(b, threshold)];
    if (va.kind !== 'value' || vb.kind !== 'value' || !(va.value > 0)) return [];
    const difference = ratioOf(va.value, vb.value, false, rule.direction);
    return 'd' in difference && !difference.bound ? [difference.d] : [];
  });
}

/** Too few to say how much they spread. */
export const LEAST_FOR_SPREAD = 6;

/** Standard deviations by CheckedThreshold.id, of those with enough pairs. */
export function spreadOf(thresholds: readonly CheckedThreshold[], pairs: readonly PairedRuns[]): Map<string, number> {
  return new Map(
    thresholds.flatMap((checked) => {
      const differences = differencesOf(checked, pairs);
      return differences.length < LEAST_FOR_SPREAD ? [] : [[checked.id, moments(differences).std] as const];
    }),
  );
}
