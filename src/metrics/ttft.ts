/**
 * ttft: first content chunk minus the intended send time, which in a closed loop is the actual one. Unit ms.
 *
 * One sample a request. The first content chunk may be reasoning, and carries a token even where it shows no text; a
 * role-only delta is none. From the intended time, so that a client or server that delays sends cannot hide the wait
 * ("coordinated omission"). A failed or cancelled request is censored at its end.
 */
import type { RequestRecord } from '../result/schema.ts';
import { distributionOf, MILLISECONDS } from './distribution.ts';
import type { Metric } from './metric.ts';
import { ttftOf, waitedFor } from './request-times.ts';
import { type Samples, samplesOf } from './samples.ts';

export function ttftSamples(records: readonly RequestRecord[]): Samples {
  return samplesOf(records, (record, samples) => {
    const value = record.outcome === 'ok' ? ttftOf(record) : null;
    if (value === null) samples.censor(waitedFor(record, record.intended));
    else samples.see(value);
  });
}

export const ttft: Metric = {
  name: 'ttft',
  title: 'Time to first token',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'From when a request should have been sent to its first content.',
  compute: ({ steady }) => distributionOf(ttftSamples(steady), MILLISECONDS),
};
