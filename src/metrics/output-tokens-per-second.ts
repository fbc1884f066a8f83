/**
 * output_tokens_per_second: tokens whose chunks arrived between the start of steady state and the last issue, over that
 * window. Unit tokens/s; the count is tokens, the histogram tokens in each whole second of the window.
 *
 * Ramp and drain are left out: they measure how a run starts and ends. Tokens count when they arrive, whichever request
 * they belong to, so long requests are apportioned to the window. Unavailable where the window is empty or tokens are
 * unknown.
 */
import { type Metric, NO_WINDOW, spanSeconds, unavailable } from './metric.ts';
import { arrivalsOf, secondsHistogram } from './token-arrivals.ts';
import { TOKENS_UNKNOWN } from './tpot.ts';

export const outputTokensPerSecond: Metric = {
  name: 'output_tokens_per_second',
  title: 'Output tokens per second',
  unit: 'tokens/s',
  better: 'higher',
  shape: 'scalar',
  description: 'Tokens the server delivered per second under steady load.',
  compute({ records, window }) {
    const seconds = spanSeconds(window);
    if (!(seconds > 0)) return unavailable('tokens/s', NO_WINDOW);
    const arrivals = arrivalsOf(records, window.from, window.to);
    if (arrivals === null) return unavailable('tokens/s', TOKENS_UNKNOWN);
    if (arrivals.tokens === 0) return unavailable('tokens/s', 'no token arrived while the load was steady');
    const { tokens } = arrivals;
    return { unit: 'tokens/s', count: tokens, value: tokens / seconds, ...secondsHistogram(arrivals) };
  },
};
