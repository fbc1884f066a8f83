/**
 * output_tokens_per_second_whole_run: tokens of all requests that succeeded, over the time from the first send to their
 * last content. Unit tokens/s; the count is tokens, the histogram tokens in each whole second.
 *
 * AIPerf's `output_token_throughput`, kept for comparison with it: ramp and drain are in it, so short runs read low.
 * Tokens are the server's own count, so it is there even where tokens per chunk are unknown (then without a histogram).
 */
import { type Metric, unavailable } from './metric.ts';
import { outputTokensOf } from './request-times.ts';
import { arrivalsOf, secondsHistogram } from './token-arrivals.ts';

export const outputTokensPerSecondWholeRun: Metric = {
  name: 'output_tokens_per_second_whole_run',
  title: 'Output tokens per second, whole run',
  unit: 'tokens/s',
  better: 'higher',
  shape: 'scalar',
  description: 'All tokens delivered over the whole run, ramp and drain included, as AIPerf counts them.',
  compute({ ok }) {
    let tokens = 0;
    let from = Number.POSITIVE_INFINITY;
    let to = Number.NEGATIVE_INFINITY;
    for (const record of ok) {
      const own = outputTokensOf(record);
      if (own === null) return unavailable('tokens/s', 'the server reports no usage, and tokens per chunk are unknown');
      tokens += own;
      from = Math.min(from, record.sent);
      to = Math.max(to, record.sent + (record.chunks.at(-1)?.[0] ?? 0));
    }
    if (!(to > from)) return unavailable('tokens/s', 'no request succeeded');
    const arrivals = arrivalsOf(ok, from, to);
    const histogram = arrivals === null ? {} : secondsHistogram(arrivals);
    return { unit: 'tokens/s', count: tokens, value: tokens / ((to - from) / 1e9), ...histogram };
  },
};
