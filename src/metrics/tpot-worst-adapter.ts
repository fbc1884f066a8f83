/**
 * tpot_worst_adapter: the slowest adapter's median tpot over the median adapter's (worst-adapter.ts). Unit ×; the count is
 * the adapters compared, those with at least 20 requests that have one.
 */
import { type Metric, unavailable } from './metric.ts';
import { Samples } from './samples.ts';
import { TOKENS_UNKNOWN, tpotSamples } from './tpot.ts';
import { worstOverMedian } from './worst-adapter.ts';

export const tpotWorstAdapter: Metric = {
  name: 'tpot_worst_adapter',
  title: 'Time per output token, worst adapter',
  unit: '×',
  better: 'lower',
  shape: 'scalar',
  description: 'How many times as long the slowest adapter’s requests take for a token as the median adapter’s.',
  compute({ steady }) {
    if (tpotSamples(steady) === null) return unavailable('×', TOKENS_UNKNOWN);
    return worstOverMedian(steady, (own) => tpotSamples(own) ?? new Samples());
  },
};
