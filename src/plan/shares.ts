/**
 * What share of a cell's adapter requests each adapter gets in the long run, and how many adapters a run will touch.
 * Used to warn before a run, and by the workload to draw.
 */
import type { Popularity } from '../scenario/scenario.ts';
import type { Cell, PlannedAdapter } from './plan.ts';

/**
 * Shares in the order of the adapters, summing to 1. Zipf: the k-th adapter's is in proportion to 1/k^s (k from 1).
 * Weights: in proportion to them; an adapter without one gets none. All zero when no adapter has a weight.
 */
export function popularityShares(popularity: Popularity, adapters: readonly PlannedAdapter[]): number[] {
  const raw = adapters.map((adapter, i) => {
    if (popularity.kind === 'zipf') return (i + 1) ** -popularity.s;
    if (popularity.kind === 'weights') return popularity.weights[adapter.name] ?? 0;
    if (popularity.kind === 'identical') return i === 0 ? 1 : 0;
    return 1;
  });
  const total = raw.reduce((sum, share) => sum + share, 0);
  return total === 0 ? raw : raw.map((share) => share / total);
}

/** Expected number of distinct adapters that so many requests ask for. */
export function expectedTouched(cell: Cell, requests: number): number {
  const { popularity, adapters, baseShare } = cell;
  if (popularity.kind === 'round_robin' || popularity.kind === 'distinct') {
    return Math.min(adapters.length, requests * (1 - baseShare));
  }
  const shares = popularityShares(popularity, adapters);
  return shares.reduce((sum, share) => sum + 1 - (1 - share * (1 - baseShare)) ** requests, 0);
}
