/**
 * input_tokens: prompt tokens of each request that succeeded (ISL). Unit tokens.
 *
 * The server's own `usage.prompt_tokens`, which includes its chat template; the tokens asked for where it tells none.
 */
import { distributionOf } from './distribution.ts';
import type { Metric } from './metric.ts';
import { samplesOf } from './samples.ts';

export const inputTokens: Metric = {
  name: 'input_tokens',
  title: 'Input sequence length',
  unit: 'tokens',
  better: 'lower',
  shape: 'distribution',
  description: 'Prompt tokens of each request, as the server counts them.',
  compute: ({ ok }) =>
    distributionOf(
      samplesOf(ok, ({ usage, asked }, samples) => samples.see(usage?.prompt_tokens ?? asked.promptTokens)),
      { unit: 'tokens', per: 1 },
    ),
};
