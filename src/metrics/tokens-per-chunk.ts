/**
 * tokens_per_chunk: tokens in each content chunk, the first included, of requests that succeeded. Unit tokens.
 *
 * 1 everywhere means that itl and chunk_gap are the same. Unavailable where tokens per chunk are unknown.
 */
import { distributionOf, type Samples } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { TOKENS_UNKNOWN } from './tpot.ts';

export const tokensPerChunk: Metric = {
  name: 'tokens_per_chunk',
  title: 'Tokens per chunk',
  unit: 'tokens',
  better: 'lower',
  description: 'How many tokens each piece of a stream carries.',
  compute({ ok }) {
    const samples: Samples = { values: [], bounds: [] };
    for (const { chunks } of ok) {
      for (const [, tokens] of chunks) {
        if (tokens === null) return unavailable('tokens', TOKENS_UNKNOWN);
        samples.values.push(tokens);
      }
    }
    return distributionOf(samples, { unit: 'tokens', per: 1 });
  },
};
