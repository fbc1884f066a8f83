/** Errors of stamps as they stand in results. In: nanoseconds, in any order. Out: a StampError; null where there are none. */
import { ADAPTER_DIGITS, HdrHistogram } from '../recorder/histogram.ts';
import type { StampError } from '../result/schema.ts';
import { rankOf } from '../stats/nearest-rank.ts';

export function stampErrorOf(errorsNs: readonly number[]): StampError | null {
  if (errorsNs.length === 0) return null;
  const ascending = Float64Array.from(errorsNs, (ns) => Math.max(0, Math.round(ns))).sort();
  const histogram = HdrHistogram.empty(ADAPTER_DIGITS);
  for (const ns of ascending) histogram.record(ns);
  const at = (p: number) => (ascending[rankOf(p, ascending.length) - 1] as number) / 1e6;
  return { count: ascending.length, p50: at(0.5), p99: at(0.99), max: at(1), hdr: histogram.encode() };
}
