/**
 * Samples in order of size, those that were never seen above all others. In: samples. Out: the one at a rank, or what it is
 * at least.
 *
 * A sample that was never seen, because its request failed or was cancelled, ranks above every seen one, whatever its
 * bound: a server that fails fast must not look fast. One at a rank among the unseen is `{gt: x}`, where x is the least it
 * can be: the same rank among all samples with each unseen one at its bound.
 */
import type { Bounded } from '../result/schema.ts';
import { rankOf } from '../stats/nearest-rank.ts';
import { Ranked } from '../stats/ranked.ts';
import type { Samples } from './samples.ts';

export class CensoredOrder {
  readonly count: number;
  readonly #samples: Samples;
  readonly #seen: Ranked;
  #withBounds: Ranked | null = null;

  constructor(samples: Samples) {
    this.#samples = samples;
    this.#seen = new Ranked(samples.values, samples.weights);
    this.count = this.#seen.total + samples.bounds.length;
  }

  /** `rank` from 1 to the count. */
  at(rank: number): Bounded {
    return this.#seen.at(rank) ?? { gt: this.#leastAt(rank) };
  }

  /** By nearest rank, over all samples. */
  percentile(p: number): Bounded {
    return this.at(rankOf(p, this.count));
  }

  /** Every value that was seen, with how often it counts, in no order. */
  forEachSeen(visit: (value: number, count: number) => void): void {
    this.#seen.forEachRun(visit);
  }

  #leastAt(rank: number): number {
    const { values, bounds, weights } = this.#samples;
    this.#withBounds ??= new Ranked(values.concat(bounds), weights?.concat(bounds.map(() => 1)));
    return this.#withBounds.at(rank) as number;
  }
}
