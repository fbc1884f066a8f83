/**
 * requests_per_second: requests that succeeded and ended between the start of steady state and the last issue, over that
 * window. Unit requests/s; the count is those requests.
 *
 * Unavailable where the window is empty. In an open loop it falls behind the rate asked for when the server saturates.
 */
import { type Metric, NO_WINDOW, spanSeconds, unavailable } from './metric.ts';

export const requestsPerSecond: Metric = {
  name: 'requests_per_second',
  title: 'Requests per second',
  unit: 'requests/s',
  better: 'higher',
  shape: 'scalar',
  description: 'Requests completed per second under steady load.',
  compute({ ok, window }) {
    const seconds = spanSeconds(window);
    if (!(seconds > 0)) return unavailable('requests/s', NO_WINDOW);
    const count = ok.filter(({ end }) => end >= window.from && end <= window.to).length;
    if (count === 0) return unavailable('requests/s', 'no request ended while the load was steady');
    return { unit: 'requests/s', count, value: count / seconds };
  },
};
