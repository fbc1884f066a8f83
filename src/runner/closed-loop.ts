/**
 * Closed loop: so many requests in flight, a new one when one ends. In: requests, lanes, when to stop. Out: resolves when
 * the last has ended; requests in flight when the run's end comes are waited for.
 *
 * Starts are spread evenly over the time that one request should take: started together they would march in step, and
 * the server would see bursts of prefill that the concurrency does not mean.
 */
import type { LoopOptions } from './load-loop.ts';
import { waitUntil } from './pacer.ts';

export interface ClosedLoopOptions extends LoopOptions {
  /** This thread's lanes, numbered among all of the run's: every lane keeps one request in flight. */
  lanes: readonly number[];
  /** All lanes of the run. */
  concurrency: number;
  /** How long the first request should take, in ns; 0 when unknown: all start at once. */
  spreadNs: number;
}

export async function closedLoop(options: ClosedLoopOptions): Promise<void> {
  const { lanes, concurrency, spreadNs, start, until, now, signal } = options;
  const lane = async (index: number): Promise<void> => {
    await waitUntil(start + (spreadNs * index) / concurrency, now, signal);
    while (!signal.aborted && now() < until) {
      const spec = await options.next();
      if (spec === null || signal.aborted) return;
      await options.issue(spec, null);
    }
  };
  await Promise.all(lanes.map(lane));
}
