/**
 * ttfot: first content chunk that is not reasoning, minus the intended send time. Unit ms.
 *
 * Equal to ttft for models that don't reason. A request that ended before it stopped reasoning never gave output: it is
 * censored at its end, as failed and cancelled ones are.
 */
import { distributionOf, MILLISECONDS } from './distribution.ts';
import type { Metric } from './metric.ts';
import { waitedFor } from './request-times.ts';
import { samplesOf } from './samples.ts';

export const ttfot: Metric = {
  name: 'ttfot',
  title: 'Time to first output token',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'From when a request should have been sent to its first content that is not reasoning.',
  compute({ steady }) {
    const samples = samplesOf(steady, (record, into) => {
      const { firstOutput = record.chunks[0]?.[0] ?? null, outcome, sent, intended } = record;
      if (outcome === 'ok' && firstOutput !== null) into.see(sent + firstOutput - intended);
      else into.censor(waitedFor(record, intended));
    });
    return distributionOf(samples, MILLISECONDS);
  },
};
