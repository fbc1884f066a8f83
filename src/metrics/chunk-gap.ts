/**
 * chunk_gap: time between one content chunk and the next, undivided. Unit ms.
 *
 * What a reader of the stream sees: AIPerf's `inter_chunk_latency`. It differs from itl as far as tokens_per_chunk differs
 * from 1. Gaps count wherever they were seen; a failed or cancelled request adds one sample censored at its end.
 */
import { distributionOf, MILLISECONDS } from './distribution.ts';
import type { Metric } from './metric.ts';
import { samplesOf } from './samples.ts';

export const chunkGap: Metric = {
  name: 'chunk_gap',
  title: 'Gap between chunks',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'Time between two pieces of a stream, however many tokens each carries.',
  compute({ steady }) {
    const samples = samplesOf(steady, ({ chunks, outcome, end, sent }, into) => {
      chunks.forEach(([at], i) => {
        const before = chunks[i - 1];
        if (before !== undefined) into.see(at - before[0]);
      });
      const last = chunks.at(-1);
      if (outcome !== 'ok' && last !== undefined) into.censor(Math.max(0, end - sent - last[0]));
    });
    return distributionOf(samples, MILLISECONDS);
  },
};
