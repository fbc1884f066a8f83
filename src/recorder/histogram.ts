/**
 * HDR histograms: counts in buckets of fixed relative width, small enough to keep and exact to merge.
 *
 * In: non-negative integers (nanoseconds or tokens). Out: the V2 compressed base64 encoding ("HISTFAAA.."), which every
 * HdrHistogram library reads, and back. Three significant digits for a run, two for an adapter.
 *
 * A histogram's percentile is a bucket's, so it differs from the exact nearest rank by up to its precision: percentiles
 * in result.json come from the raw samples (metrics/distribution.ts), histograms serve charts and merging.
 * Format: https://github.com/HdrHistogram/HdrHistogram (V2 encoding).
 */
import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
  JsHistogram,
} from 'hdr-histogram-js';
import { BenchError } from '../errors.ts';

/** One range for all, so that any two merge: 52 days in nanoseconds. */
export const HIGHEST = 2 ** 52;

export type Digits = 2 | 3;

export const RUN_DIGITS: Digits = 3;
export const ADAPTER_DIGITS: Digits = 2;

/** @throws BenchError BUG for a value that is no integer in 0..HIGHEST, or a count that is no non-negative integer */
export class HdrHistogram {
  readonly #histogram: Histogram;

  private constructor(histogram: Histogram) {
    this.#histogram = histogram;
  }

  static empty(digits: Digits): HdrHistogram {
    return new HdrHistogram(
      build({
        bitBucketSize: 64,
        autoResize: false,
        lowestDiscernibleValue: 1,
        highestTrackableValue: HIGHEST,
        numberOfSignificantValueDigits: digits,
      }),
    );
  }

  /** @throws BenchError USAGE when the text is no V2 compressed histogram */
  static decode(base64: string): HdrHistogram {
    try {
      return new HdrHistogram(decodeFromCompressedBase64(base64, 64));
    } catch (cause) {
      const start = base64.slice(0, 16);
      throw new BenchError('USAGE', `"${start}.." is no HDR histogram: expected V2 compressed base64, "HISTFAAA..".`, {
        cause,
      });
    }
  }

  // The library throws on a negative value, files a fraction under a wrong bucket, and swallows what exceeds its range.
  record(value: number, count = 1): void {
    if (!Number.isSafeInteger(value) || value < 0 || value > HIGHEST || !Number.isSafeInteger(count) || count < 0) {
      throw new BenchError('BUG', `A histogram was given ${value} x ${count}; it takes integers from 0 to ${HIGHEST}.`);
    }
    if (count > 0) this.#histogram.recordValueWithCount(value, count);
  }

  /** Adds another's counts. @throws BenchError BUG when the other is finer */
  add(other: HdrHistogram): void {
    const mine = this.#histogram.numberOfSignificantValueDigits;
    const its = other.#histogram.numberOfSignificantValueDigits;
    if (its < mine) throw new BenchError('BUG', `A histogram of ${its} digits can't be added to one of ${mine}.`);
    this.#histogram.add(other.#histogram);
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** The upper end of the bucket that holds percentile `p`, a share in 0..1. */
  percentile(p: number): number {
    return this.#histogram.getValueAtPercentile(100 * p);
  }

  /** Every bucket that is not empty, rising: its middle, which is the value itself where buckets are one wide. */
  buckets(): { value: number; count: number }[] {
    const histogram = this.#histogram;
    if (!(histogram instanceof JsHistogram)) throw new BenchError('BUG', 'The HDR library gave no plain histogram.');
    const found: { value: number; count: number }[] = [];
    for (let i = 0, left = histogram.totalCount; left > 0; i++) {
      const count = histogram.getCountAtIndex(i);
      if (count === 0) continue;
      left -= count;
      found.push({ value: histogram.medianEquivalentValue(histogram.valueFromIndex(i)), count });
    }
    return found;
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }
}
