/**
 * Closed loop: so many requests in flight, a new one when one ends. In: requests, concurrency, when to stop. Out: resolves
 * when the last has ended; requests in flight when the run's end comes are waited for.
 *
 * Starts are spread evenly over the time that one request should take: started together they would march in step, and
 * the server would see bursts of prefill that the concurrency does not mean.
 */
import { type LoopOptions, limitsOf, take } from './load-loop.ts';
import { waitUntil } from './pacer.ts';

export interface ClosedLoopOptions extends LoopOptions {
  concurrency: number;
  /** How long the first request should take, in ns; 0 when unknown: all start at once. */
  spreadNs: number;
}

export async function closedLoop(options: ClosedLoopOptions): Promise<void> {
  const { concurrency, spreadNs, start, now, signal } = options;
  const limits = limitsOf(options);
  let issued = 0;
  const wanted = () => !signal.aborted && issued < limits.requests && now() < limits.until;

  const lane = async (index: number): Promise<void> => {
    if (index > 0) await waitUntil(start + (spreadNs * index) / concurrency, now, signal);
    while (wanted()) {
      issued++;
      await options.issue(take(options.requests), null);
    }
  };
  const lanes = Math.min(concurrency, limits.requests);
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)));
}
