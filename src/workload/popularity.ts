/**
 * Which adapter each request names. In: a cell's adapters, their popularity and the base's share; out: a function that
 * gives the next adapter's name, or null for the base model.
 *
 * - uniform, zipf(s), weights: drawn independently for each request, by the shares of plan/shares.ts
 * - round_robin: in order, over and over
 * - distinct: a fresh random order of all adapters in every round. Any wave of as many requests as there are adapters,
 *   counted from the start of a round, meets each adapter exactly once, whatever happened before: the most different
 *   adapters a batch can hold, without the fixed neighbours of round_robin
 * - identical: always the first; the fewest different adapters a batch can hold
 *
 * The base's share is drawn apart from all this, from a stream of its own: it never disturbs the order of adapters.
 */
import type { PlannedAdapter, Popularity } from '../plan/plan.ts';
import { popularityShares } from '../plan/shares.ts';
import type { Rng } from './rng.ts';

export interface PopularityStreams {
  adapter: Rng;
  base: Rng;
}

export function popularityOf(
  cell: { adapters: readonly PlannedAdapter[]; popularity: Popularity; baseShare: number },
  streams: PopularityStreams,
): () => string | null {
  const { adapters, popularity, baseShare } = cell;
  if (adapters.length === 0) return () => null;
  const next = indexesOf(adapters, popularity, streams.adapter);
  return () => (streams.base.unit() < baseShare ? null : adapters[next()]!.name);
}

function indexesOf(adapters: readonly PlannedAdapter[], popularity: Popularity, rng: Rng): () => number {
  const n = adapters.length;
  switch (popularity.kind) {
    case 'identical':
      return () => 0;
    case 'round_robin': {
      let i = 0;
      return () => i++ % n;
    }
    case 'distinct': {
      let round: number[] = [];
      return () => {
        if (round.length === 0) round = rng.shuffle(Array.from({ length: n }, (_, i) => i));
        return round.pop()!;
      };
    }
    case 'uniform':
      return () => rng.below(n);
    case 'zipf':
    case 'weights':
      return drawByShare(popularityShares(popularity, adapters), rng);
  }
}

/** Inverse transform over the cumulated shares, by bisection: thousands of adapters cost no more than a dozen steps. */
function drawByShare(shares: readonly number[], rng: Rng): () => number {
  let sum = 0;
  const upTo = shares.map((share) => (sum += share));
  const last = shares.findLastIndex((share) => share > 0);
  return () => {
    const u = rng.unit() * sum;
    let low = 0;
    let high = last; // the first index with u < upTo; rounding of the sum must not lead past the last with a share
    while (low < high) {
      const middle = (low + high) >> 1;
      if (u < upTo[middle]!) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
