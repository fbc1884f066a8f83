/**
 * What the two kinds of load share: where requests come from, how one is issued, and when to stop.
 *
 * A loop decides when a request starts, and nothing else: `issue` sends, records and counts it.
 */
import type { RequestSpec } from '../workload/request.ts';

export interface LoopOptions {
  /** Endless; a loop takes what it issues and no more. */
  requests: Iterator<RequestSpec>;
  /** Resolves when the request has ended in whatever way; never rejects. `intended` is on the clock of `now`. */
  issue: (spec: RequestSpec, intended: number | null) => Promise<void>;
  measure: { requests: number } | { durationMs: number };
  /** When the run began, on the clock of `now`, in ns. */
  start: number;
  now: () => number;
  /** Nothing is issued once it aborts. */
  signal: AbortSignal;
}

/** How many requests may be issued, and until when. */
export function limitsOf({ measure, start }: Pick<LoopOptions, 'measure' | 'start'>): {
  requests: number;
  until: number;
} {
  return 'requests' in measure
    ? { requests: measure.requests, until: Number.POSITIVE_INFINITY }
    : { requests: Number.POSITIVE_INFINITY, until: start + measure.durationMs * 1e6 };
}

/** The next request; a workload that ends is a fault of ours. */
export function take(requests: Iterator<RequestSpec>): RequestSpec {
  const next = requests.next();
  if (next.done) throw new Error('the workload ended, though a run decides how many requests it takes');
  return next.value;
}

/** The same requests with the first `count` made now: making a prompt takes time that a lane should not spend. */
export function madeAhead(requests: Iterator<RequestSpec>, count: number): Iterator<RequestSpec> {
  const made = Array.from({ length: count }, () => take(requests));
  let given = 0;
  return {
    next: () => {
      const spec = made[given];
      if (spec === undefined) return requests.next();
      delete made[given++]; // a prompt may be long, and is not needed twice
      return { value: spec, done: false };
    },
  };
}
