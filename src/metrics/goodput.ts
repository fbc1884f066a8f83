/**
 * goodput: requests that met every SLO and ended between the start of steady state and the last issue, over that window.
 * Unit requests/s; the count is those requests, and 0/s is a value, not a gap.
 *
 * DistServe (Zhong et al., OSDI 2024). Unavailable without an SLO, with an empty window, or where an itl objective can't
 * be judged because tokens per chunk are unknown.
 */
import { type Metric, NO_WINDOW, spanSeconds, unavailable } from './metric.ts';
import { goodOf, NO_SLO } from './slo-met.ts';
import { TOKENS_UNKNOWN } from './tpot.ts';

export const goodput: Metric = {
  name: 'goodput',
  title: 'Goodput',
  unit: 'requests/s',
  better: 'higher',
  shape: 'scalar',
  description: 'Requests per second that met every service-level objective.',
  compute({ records, slo, window }) {
    if (slo === null) return unavailable('requests/s', NO_SLO);
    const seconds = spanSeconds(window);
    if (!(seconds > 0)) return unavailable('requests/s', NO_WINDOW);
    const good = goodOf(records, slo);
    if (good === null) return unavailable('requests/s', TOKENS_UNKNOWN);
    const count = good.filter(({ end }) => end >= window.from && end <= window.to).length;
    return { unit: 'requests/s', count, value: count / seconds };
  },
};
