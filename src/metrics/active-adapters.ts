/**
 * active_adapters: distinct adapters with a request in flight, averaged over time between the start of steady state and
 * the last issue. Unit adapters; the count is the adapters seen at all.
 *
 * A request is in flight from its send to its end. The base model is no adapter. It is at most the concurrency, whatever
 * the number of adapters a cell declares: 32 adapters at concurrency 4 never have more than 4 active.
 */
import type { RequestRecord } from '../result/schema.ts';
import { type Change, meanOver, stepsOf } from '../stats/step-function.ts';
import { type Metric, NO_WINDOW, spanSeconds, unavailable } from './metric.ts';

/** +1 when an adapter's first request starts, -1 when its last ends. */
function presence(spans: readonly RequestRecord[]): Change[] {
  const changes = spans.flatMap(({ sent, end }) => [
    { at: sent, by: 1 },
    { at: end, by: -1 },
  ]);
  let before = 0;
  return stepsOf(changes).map(({ from, value }) => {
    const present = value > 0 ? 1 : 0;
    const change = { at: from, by: present - before };
    before = present;
    return change;
  });
}

export const activeAdapters: Metric = {
  name: 'active_adapters',
  title: 'Active adapters',
  unit: 'adapters',
  better: 'higher',
  shape: 'scalar',
  description: 'Different adapters with a request in flight at a time, on average.',
  compute({ records, window }) {
    if (!(spanSeconds(window) > 0)) return unavailable('adapters', NO_WINDOW);
    const byAdapter = new Map<string, RequestRecord[]>();
    for (const record of records) {
      if (record.adapter === null) continue;
      const own = byAdapter.get(record.adapter);
      if (own === undefined) byAdapter.set(record.adapter, [record]);
      else own.push(record);
    }
    const steps = stepsOf([...byAdapter.values()].flatMap(presence));
    return { unit: 'adapters', count: byAdapter.size, value: meanOver(steps, window.from, window.to) };
  },
};
