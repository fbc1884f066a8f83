/**
 * adapter_fairness: Jain's index of the speeds at which adapters are served. Unit ratio, from 1/m for m adapters of which one
 * alone is served, to 1 when all are alike; the count is the adapters.
 *
 * An adapter's speed x is the output tokens of its requests over the time they were in flight, so that an adapter that is
 * asked for more often does not count as better served. The index is (Σx)² / (m Σx²) (Jain, Chiu & Hawe 1984, "A
 * Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared Computer Systems"). Failed
 * requests give no tokens but take their time. Adapters with fewer than 20 requests are left out, and two are needed.
 */
import type { RequestRecord } from '../result/schema.ts';
import { type Metric, unavailable } from './metric.ts';
import { BASE_MODEL, byAdapter } from './per-adapter.ts';
import { outputTokensOf } from './request-times.ts';
import { LEAST_OF_AN_ADAPTER, tooFew } from './worst-adapter.ts';

/** Tokens a ns; null where its tokens are unknown. */
function speedOf(own: readonly RequestRecord[]): number | null {
  let tokens = 0;
  let time = 0;
  for (const record of own) {
    time += record.end - record.sent;
    if (record.outcome !== 'ok') continue;
    const delivered = outputTokensOf(record);
    if (delivered === null) return null;
    tokens += delivered;
  }
  return time > 0 ? tokens / time : null;
}

export const adapterFairness: Metric = {
  name: 'adapter_fairness',
  title: 'Fairness between adapters',
  unit: 'ratio',
  better: 'higher',
  shape: 'scalar',
  description: 'How evenly adapters are served: 100 % is all alike, less is some at the cost of others (Jain’s index).',
  compute({ steady }) {
    const adapters = [...byAdapter(steady)].filter(([name]) => name !== BASE_MODEL);
    const compared = adapters.filter(([, own]) => own.length >= LEAST_OF_AN_ADAPTER);
    if (compared.length < 2) return unavailable('ratio', tooFew(adapters.length));
    const speeds = compared.map(([, own]) => speedOf(own));
    if (!speeds.every((speed) => speed !== null)) {
      return unavailable('ratio', 'the server reports no usage, and tokens per chunk are unknown');
    }
    const sum = speeds.reduce((total, speed) => total + speed, 0);
    const squares = speeds.reduce((total, speed) => total + speed * speed, 0);
    if (squares === 0) return unavailable('ratio', 'no request for an adapter succeeded');
    return { unit: 'ratio', count: speeds.length, value: (sum * sum) / (speeds.length * squares) };
  },
};
