/**
 * When tokens arrived: the stream that throughput counts. In: records, a span. Out: tokens in it, and in each of its
 * whole seconds.
 *
 * Requests that failed give none: tokens of an answer nobody can use are no throughput. Those of a cancelled request
 * count, since it was our end of the measurement that cut it.
 */
import { HdrHistogram, RUN_DIGITS } from '../recorder/histogram.ts';
import type { RequestRecord } from '../result/schema.ts';

const SECOND_NS = 1e9;

export interface Arrivals {
  tokens: number;
  /** Tokens in each whole second since `from`. */
  perSecond: number[];
}

/** Arrivals in [from, to]; null where a request's tokens per chunk are unknown. */
export function arrivalsOf(records: readonly RequestRecord[], from: number, to: number): Arrivals | null {
  const perSecond = new Array<number>(Math.max(0, Math.floor((to - from) / SECOND_NS))).fill(0);
  let sum = 0;
  for (const { chunks, outcome, sent } of records) {
    if (outcome === 'failed') continue;
    for (const [since, tokens] of chunks) {
      const at = sent + since;
      if (at < from || at > to) continue;
      if (tokens === null) return null;
      sum += tokens;
      const second = Math.floor((at - from) / SECOND_NS);
      if (second < perSecond.length) perSecond[second] = (perSecond[second] as number) + tokens;
    }
  }
  return { tokens: sum, perSecond };
}

/** The `hdr` of a throughput: tokens in each whole second; none where the span is shorter than one. */
export function secondsHistogram({ perSecond }: Arrivals): { hdr?: string } {
  if (perSecond.length === 0) return {};
  const histogram = HdrHistogram.empty(RUN_DIGITS);
  for (const tokens of perSecond) histogram.record(tokens);
  return { hdr: histogram.encode() };
}
