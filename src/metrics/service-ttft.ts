/**
 * service_ttft: first content chunk minus the actual send, in every kind of load. Unit ms.
 *
 * What the server alone made of the wait; beside ttft it shows how much the schedule slipped. One sample a request;
 * failed and cancelled ones are censored at their end.
 */
import { distributionOf, MILLISECONDS } from './distribution.ts';
import type { Metric } from './metric.ts';
import { waitedFor } from './request-times.ts';
import { samplesOf } from './samples.ts';

export const serviceTtft: Metric = {
  name: 'service_ttft',
  title: 'Time to first token, from the actual send',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'From when a request was really sent to its first content.',
  compute({ steady }) {
    const samples = samplesOf(steady, (record, into) => {
      const first = record.outcome === 'ok' ? record.chunks[0] : undefined;
      if (first === undefined) into.censor(waitedFor(record, record.sent));
      else into.see(first[0]);
    });
    return distributionOf(samples, MILLISECONDS);
  },
};
