/**
 * tokens_per_chunk: tokens in each content chunk, the first included, of requests that succeeded. Unit tokens.
 *
 * 1 everywhere means that itl and chunk_gap are the same. Unavailable where tokens per chunk are unknown.
 */
import { distributionOf } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { Samples } from './samples.ts';
import { TOKENS_UNKNOWN } from './tpot.ts';

export const tokensPerChunk: Metric = {
  name: 'tokens_per_chunk',
  title: 'Tokens per chunk',
  unit: 'tokens',
  better: 'lower',
  shape: 'distribution',
  description: 'How many tokens each piece of a stream carries.',
  compute({ steady }) {
    const samples = new Samples();
    for (const { chunks, outcome } of steady) {
      if (outcome !== 'ok') continue;
      for (const [, tokens] of chunks) {
        if (tokens === null) return unavailable('tokens', TOKENS_UNKNOWN);
        samples.see(tokens);
      }
      samples.endRequest();
    }
    return distributionOf(samples, { unit: 'tokens', per: 1 });
  },
};
