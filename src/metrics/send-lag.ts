/**
 * send_lag: actual minus intended send, the difference between ttft and service_ttft. Unit ms.
 *
 * A property of the client, not of the server: how late the load was. One sample for every request that was issued,
 * from the start of steady state on, whatever became of it; never censored. A closed loop intends nothing, so there it is unavailable. A send that was early
 * by the clock's grain counts as 0.
 */
import { distributionOf, MILLISECONDS } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { samplesOf } from './samples.ts';

export const sendLag: Metric = {
  name: 'send_lag',
  title: 'Send lag',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'How much later than intended the client sent its requests.',
  compute({ steady, cell }) {
    if (cell.load.kind === 'closed') {
      return unavailable('ms', 'in a closed loop a request is sent when another has ended, not at a time');
    }
    const samples = samplesOf(steady, ({ sent, intended }, into) => into.see(Math.max(0, sent - intended)));
    return distributionOf(samples, MILLISECONDS);
  },
};
