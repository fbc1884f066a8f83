/**
 * error_rate: failed requests over issued ones. Unit ratio, 0..1; the count is the requests issued.
 *
 * A request with a wrong output length or finish reason under `control: exact` has failed like any other. Cancelled
 * requests are no errors (we cut them) but stay in the denominator.
 */
import { type Metric, unavailable } from './metric.ts';

export const errorRate: Metric = {
  name: 'error_rate',
  title: 'Error rate',
  unit: 'ratio',
  better: 'lower',
  shape: 'scalar',
  description: 'Requests that failed, of all that were issued.',
  compute({ records }) {
    if (records.length === 0) return unavailable('ratio', 'no request was issued');
    const failed = records.filter(({ outcome }) => outcome === 'failed').length;
    return { unit: 'ratio', count: records.length, value: failed / records.length };
  },
};
