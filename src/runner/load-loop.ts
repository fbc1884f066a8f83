/**
 * What the two kinds of load share: where requests come from, how one is issued, and when to stop.
 *
 * A loop decides when a request starts, and nothing else: `next` hands out the requests, `issue` sends and records them.
 * Loops run in the threads that measure (load-worker.ts), each with its part of the run's load.
 */
import type { RequestSpec } from '../workload/request.ts';

export interface LoopOptions {
  /** The next request of this thread; null when the run has issued all it may. */
  next: () => RequestSpec | null | Promise<RequestSpec | null>;
  /** Resolves when the request has ended in whatever way; never rejects. `intended` is on the clock of `now`. */
  issue: (spec: RequestSpec, intended: number | null) => Promise<void>;
  /** When the run began, on the clock of `now`, in ns. */
  start: number;
  /** Nothing is issued from then on; Infinity for a run that ends by its requests. */
  until: number;
  now: () => number;
  /** Nothing is issued once it aborts. */
  signal: AbortSignal;
}
