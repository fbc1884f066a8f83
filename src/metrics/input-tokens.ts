/**
 * input_tokens: prompt tokens of each request that succeeded (ISL). Unit tokens.
 *
 * The server's own `usage.prompt_tokens`, which includes its chat template; the tokens asked for where it tells none.
 */
import { distributionOf } from './distribution.ts';
import type { Metric } from './metric.ts';

export const inputTokens: Metric = {
  name: 'input_tokens',
  title: 'Input sequence length',
  unit: 'tokens',
  better: 'lower',
  description: 'Prompt tokens of each request, as the server counts them.',
  compute: ({ ok }) =>
    distributionOf(
      { values: ok.map(({ usage, asked }) => usage?.prompt_tokens ?? asked.promptTokens), bounds: [] },
      { unit: 'tokens', per: 1 },
    ),
};
