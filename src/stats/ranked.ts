/**
 * Samples of which the rank-th smallest is wanted, where some stand for several. In: values, how often each counts. Out:
 * the value at a rank, as if every sample were repeated that often.
 *
 * Values of one weight are sorted together, as plain numbers, which is what makes millions of them cheap; a rank is then
 * found across those lists by bisection. Weights are few in practice: tokens per chunk.
 */
interface Group {
  weight: number;
  ascending: Float64Array;
}

export class Ranked {
  readonly #groups: readonly Group[];
  /** The sum of the weights. */
  readonly total: number;

  /** Each value counts once where there are no weights; those of weight 0 are left out. */
  constructor(values: readonly number[], weights: readonly number[] | null = null) {
    this.#groups = weights === null ? [{ weight: 1, ascending: Float64Array.from(values) }] : grouped(values, weights);
    for (const { ascending } of this.#groups) ascending.sort();
    this.total = this.#groups.reduce((sum, { weight, ascending }) => sum + weight * ascending.length, 0);
  }

  /** The rank-th smallest, from 1 to the total; undefined beyond it. */
  at(rank: number): number | undefined {
    let least: number | undefined;
    for (const { ascending } of this.#groups) {
      const found = ascending[firstPlace(ascending, (value) => this.#upTo(value) >= rank)];
      if (found !== undefined && (least === undefined || found < least)) least = found;
    }
    return least;
  }

  /** Every value with how often it counts, in no order; equal ones of one weight come together. */
  forEachRun(visit: (value: number, count: number) => void): void {
    for (const { weight, ascending } of this.#groups) {
      for (let from = 0, to = 0; from < ascending.length; from = to) {
        const value = ascending[from] as number;
        while (to < ascending.length && ascending[to] === value) to++;
        visit(value, weight * (to - from));
      }
    }
  }

  /** How many samples are at most `value`. */
  #upTo(value: number): number {
    let sum = 0;
    for (const { weight, ascending } of this.#groups) sum += weight * firstPlace(ascending, (other) => other > value);
    return sum;
  }
}

function grouped(values: readonly number[], weights: readonly number[]): Group[] {
  const sizes = new Map<number, number>();
  for (const weight of weights) if (weight !== 0) sizes.set(weight, (sizes.get(weight) ?? 0) + 1);
  const groups = new Map([...sizes].map(([weight, size]) => [weight, { weight, ascending: new Float64Array(size) }]));
  for (let i = 0; i < values.length; i++) {
    const weight = weights[i] as number;
    const left = sizes.get(weight);
    if (left === undefined) continue;
    sizes.set(weight, left - 1);
    (groups.get(weight) as Group).ascending[left - 1] = values[i] as number;
  }
  return [...groups.values()];
}

/** The first place whose value meets a condition that, once met, stays met; the length if none does. */
function firstPlace(ascending: Float64Array, meets: (value: number) => boolean): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (meets(ascending[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}
