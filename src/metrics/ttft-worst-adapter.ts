/**
 * ttft_worst_adapter: the slowest adapter's median ttft over the median adapter's (worst-adapter.ts). Unit ×; the count is
 * the adapters compared, those with at least 20 requests.
 */
import type { Metric } from './metric.ts';
import { ttftSamples } from './ttft.ts';
import { worstOverMedian } from './worst-adapter.ts';

export const ttftWorstAdapter: Metric = {
  name: 'ttft_worst_adapter',
  title: 'Time to first token, worst adapter',
  unit: '×',
  better: 'lower',
  shape: 'scalar',
  description:
    'How many times as long the slowest adapter’s requests wait for their first token as the median adapter’s.',
  compute: ({ steady }) => worstOverMedian(steady, ttftSamples),
};
