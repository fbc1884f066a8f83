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

/** How long requests are made at a stretch before the event loop gets a turn. */
const SLICE_MS = 10;

/** What is made before a run begins: at most so many requests, and no more than fit into so many characters of prompts. */
export interface Ahead {
  requests: number;
  characters: number;
}

/**
 * The same requests with the first of them made now: making a prompt of thousands of tokens takes milliseconds that a lane
 * should not spend. Stops early when the signal aborts.
 */
export async function madeAhead(
  requests: Iterator<RequestSpec>,
  most: Ahead,
  signal: AbortSignal,
): Promise<Iterator<RequestSpec>> {
  const made: (RequestSpec | undefined)[] = [];
  let characters = 0;
  let sliceEnd = performance.now() + SLICE_MS;
  while (made.length < most.requests && characters < most.characters && !signal.aborted) {
    const spec = take(requests);
    made.push(spec);
    characters += spec.prompt.length;
    if (performance.now() < sliceEnd) continue;
    await new Promise(setImmediate);
    sliceEnd = performance.now() + SLICE_MS;
  }
  let given = 0;
  return {
    next: () => {
      const spec = made[given];
      if (spec === undefined) return requests.next();
      made[given++] = undefined; // a prompt may be long, and is not needed twice
      return { value: spec, done: false };
    },
  };
}
