/**
 * From HDR histograms to the bars of a chart.
 *
 * Encoded histograms in (V2 compressed base64, as result.json keeps them), merged over the runs of a cell; counts in
 * bins out. Cells that are compared get the same bin edges, so that bars can be compared by eye. An HDR bucket is far
 * narrower than a bin, and goes whole to the bin that holds its middle.
 */
import { decodeFromCompressedBase64, JsHistogram } from 'hdr-histogram-js';
import { BenchError } from '../../errors.ts';

/** Values in the histogram's own unit (ns, or tokens in a second) with how often each came, rising. */
export type Counts = readonly (readonly [value: number, count: number])[];

/** @throws BenchError USAGE when a text is no histogram */
export function mergedCounts(encoded: readonly string[]): Counts {
  const sum = new Map<number, number>();
  for (const text of encoded) {
    for (const [value, count] of decoded(text)) sum.set(value, (sum.get(value) ?? 0) + count);
  }
  return [...sum].sort((a, b) => a[0] - b[0]);
}

function decoded(text: string): Counts {
  let histogram: unknown;
  try {
    histogram = decodeFromCompressedBase64(text, 64);
  } catch (cause) {
    throw new BenchError('USAGE', `"${text.slice(0, 16)}.." is no HDR histogram: expected V2 compressed base64.`, {
      cause,
    });
  }
  if (!(histogram instanceof JsHistogram)) throw new BenchError('BUG', 'The HDR library gave no plain histogram.');
  const counts: [number, number][] = [];
  for (let i = 0, left = histogram.totalCount; left > 0 && i < histogram.countsArrayLength; i++) {
    const count = histogram.getCountAtIndex(i);
    if (count === 0) continue;
    left -= count;
    counts.push([histogram.medianEquivalentValue(histogram.valueFromIndex(i)), count]);
  }
  return counts;
}

export interface Bins {
  scale: 'linear' | 'log';
  /** One more than there are bins, rising. */
  edges: number[];
}

/** Beyond this ratio a linear axis has most samples in its first few bars. */
export const LOG_FROM = 8;
const TARGET_BINS = 36;

/** Bins below the histogram's own precision (0.1 %) would show its buckets as a comb. */
const FINEST_SHARE = 0.003;
/** A nanosecond in milliseconds. */
const SMALLEST_STEP = 1e-6;
const LONE_BINS = 6;

const niceSteps = [1, 2, 2.5, 5, 10];

function niceStep(rough: number, whole: boolean): number {
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * (niceSteps.find((nice) => nice * magnitude >= rough * 0.999) ?? 10);
  return whole ? Math.max(1, Math.ceil(step)) : step;
}

/** Edges that hold `low` to `high`, neither negative. `whole` is for counts: linear, and no bins narrower than 1. */
export function binsOf(low: number, high: number, whole: boolean): Bins {
  if (!whole && low > 0 && high / low > LOG_FROM) {
    const decades = Math.log10(high / low);
    // Bins of 10^(1/perDecade), a divisor-friendly count, starting on such a step.
    const perDecade = [60, 40, 30, 20, 12, 10, 8, 6, 5, 4, 3, 2, 1].find((n) => decades * n <= TARGET_BINS) ?? 1;
    const first = Math.floor(Math.log10(low) * perDecade + 1e-9);
    const edges = [10 ** (first / perDecade)];
    for (let i = first + 1; edges.at(-1)! <= high; i++) edges.push(10 ** (i / perDecade));
    return { scale: 'log', edges };
  }
  const finest = Math.max(high * FINEST_SHARE, SMALLEST_STEP);
  const step = niceStep(Math.max((high - low) / TARGET_BINS, finest), whole);
  // A lone value stands in the middle of a few bins, not alone in one as wide as the chart.
  const margin = Math.max(0, (LONE_BINS * step - (high - low)) / 2);
  const first = Math.max(0, Math.floor((low - margin) / step));
  const edges = [first * step];
  for (let i = first + 1; edges.at(-1)! <= high + margin; i++) edges.push(i * step);
  return { scale: 'linear', edges };
}

/** How many samples fall into each bin: edges[i] <= value < edges[i + 1]. */
export function fillBins(counts: Counts, edges: readonly number[], factor: number): number[] {
  const bins = new Array<number>(edges.length - 1).fill(0);
  let bin = 0;
  for (const [value, count] of counts) {
    const scaled = value * factor;
    while (bin < bins.length - 1 && scaled >= edges[bin + 1]!) bin++;
    bins[bin]! += count;
  }
  return bins;
}
