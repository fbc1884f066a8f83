/**
 * ttft: first content chunk minus the intended send time, which in a closed loop is the actual one. Unit ms.
 *
 * One sample a request. The first content chunk may be reasoning, and carries a token even where it shows no text; a
 * role-only delta is none. From the intended time, so that a client or server that delays sends cannot hide the wait
 * ("coordinated omission"). A failed or cancelled request is censored at its end.
 */
import type { RequestRecord } from '../result/schema.ts';
import { distributionOf, MILLISECONDS, type Samples } from './distribution.ts';
import type { Metric } from './metric.ts';
import { ttftOf, waitedFor } from './request-times.ts';

export function ttftSamples(records: readonly RequestRecord[]): Samples {
  const values: number[] = [];
  const bounds: number[] = [];
  for (const record of records) {
    const value = record.outcome === 'ok' ? ttftOf(record) : null;
    if (value === null) bounds.push(waitedFor(record, record.intended));
    else values.push(value);
  }
  return { values, bounds };
}

export const ttft: Metric = {
  name: 'ttft',
  title: 'Time to first token',
  unit: 'ms',
  better: 'lower',
  description: 'From when a request should have been sent to its first content.',
  compute: ({ records }) => distributionOf(ttftSamples(records), MILLISECONDS),
};
