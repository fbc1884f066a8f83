/**
 * output_tokens: tokens each successful request produced (OSL), reasoning included. Unit tokens.
 *
 * The server's own `usage.completion_tokens`, else the sum over chunks; unavailable where neither is known.
 */
import { distributionOf } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { outputTokensOf } from './request-times.ts';
import { samplesOf } from './samples.ts';

export const outputTokens: Metric = {
  name: 'output_tokens',
  title: 'Output sequence length',
  unit: 'tokens',
  better: 'higher',
  shape: 'distribution',
  description: 'Tokens each request produced.',
  compute({ ok }) {
    const values = ok.map(outputTokensOf);
    return values.every((value) => value !== null)
      ? distributionOf(
          samplesOf(values, (value, samples) => samples.see(value)),
          { unit: 'tokens', per: 1 },
        )
      : unavailable('tokens', 'the server reports no usage, and tokens per chunk are unknown');
  },
};
