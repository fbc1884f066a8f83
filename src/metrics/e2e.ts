/**
 * e2e: last content chunk minus the intended send time. Unit ms.
 *
 * To the last content, not to the end of the stream: closing events carry nothing a user waits for. One sample a request;
 * failed and cancelled ones are censored at their end.
 */
import { distributionOf, MILLISECONDS } from './distribution.ts';
import type { Metric } from './metric.ts';
import { e2eOf, waitedFor } from './request-times.ts';
import { samplesOf } from './samples.ts';

export const e2e: Metric = {
  name: 'e2e',
  title: 'End-to-end latency',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'From when a request should have been sent to its last content.',
  compute({ steady }) {
    const samples = samplesOf(steady, (record, into) => {
      const value = record.outcome === 'ok' ? e2eOf(record) : null;
      if (value === null) into.censor(waitedFor(record, record.intended));
      else into.see(value);
    });
    return distributionOf(samples, MILLISECONDS);
  },
};
