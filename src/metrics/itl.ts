/**
 * itl: gaps between content chunks divided by the tokens they carry, weighted by tokens. Unit ms; the count is tokens.
 *
 * A chunk of k tokens that comes g after the one before gives k samples of g / k: several tokens a chunk (speculative
 * decoding, batched delivery) then neither hide gaps nor invent zeros. The first chunk has no gap and is not in it. The
 * gap of a chunk without tokens (half a character) belongs to the next one that has some. Where tokens per chunk are
 * unknown the metric is unavailable.
 *
 * Gaps are counted wherever they were seen, also in requests that failed or were cancelled later; each of those adds one
 * sample censored at its end, for the gap it died in. Tokens of one request are not independent, and its intervals don't
 * take them so (stats/effective-size.ts).
 */
import type { RequestRecord } from '../result/schema.ts';
import { distributionOf, MILLISECONDS } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { Samples } from './samples.ts';
import { TOKENS_UNKNOWN } from './tpot.ts';

/** Adds a request's gaps; false where its tokens are unknown. */
function addGaps({ chunks }: RequestRecord, samples: Samples): boolean {
  let before = chunks[0]?.[0] ?? 0;
  for (let i = 1; i < chunks.length; i++) {
    const [at, tokens] = chunks[i] as [number, number | null];
    if (tokens === null) return false;
    if (tokens === 0) continue;
    samples.see((at - before) / tokens, tokens);
    before = at;
  }
  return true;
}

export const itl: Metric = {
  name: 'itl',
  title: 'Inter-token latency',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'Time between tokens, one sample a token, over all requests.',
  compute({ steady }) {
    const samples = new Samples();
    for (const record of steady) {
      const known = addGaps(record, samples);
      if (!known && record.outcome === 'ok') return unavailable('ms', TOKENS_UNKNOWN);
      const last = record.chunks.at(-1);
      if (record.outcome !== 'ok' && last !== undefined) {
        samples.censor(Math.max(0, record.end - record.sent - last[0]));
      }
      samples.endRequest();
    }
    return distributionOf(samples, MILLISECONDS);
  },
};
