/**
 * service_ttft: first content chunk minus the actual send, in every kind of load. Unit ms.
 *
 * What the server alone made of the wait; beside ttft it shows how much the schedule slipped. One sample a request;
 * failed and cancelled ones are censored at their end.
 */
import { distributionOf, MILLISECONDS, type Samples } from './distribution.ts';
import type { Metric } from './metric.ts';
import { waitedFor } from './request-times.ts';

export const serviceTtft: Metric = {
  name: 'service_ttft',
  title: 'Time to first token, from the actual send',
  unit: 'ms',
  better: 'lower',
  description: 'From when a request was really sent to its first content.',
  compute({ records }) {
    const samples: Samples = { values: [], bounds: [] };
    for (const record of records) {
      const first = record.outcome === 'ok' ? record.chunks[0] : undefined;
      if (first === undefined) samples.bounds.push(waitedFor(record, record.sent));
      else samples.values.push(first[0]);
    }
    return distributionOf(samples, MILLISECONDS);
  },
};
