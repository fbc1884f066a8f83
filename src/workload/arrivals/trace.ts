/** The arrivals of a trace, `speed` times as fast; they end with it. The first is at 0. */
import type { TraceEntry } from '../../scenario/prompt-files/entries.ts';

const NS_PER_MS = 1e6;

/** Offsets from the start of the run in whole nanoseconds, never falling. */
export function* traceArrivals(entries: readonly TraceEntry[], speed: number): Generator<number, void> {
  for (const { atMs } of entries) yield Math.round((atMs / speed) * NS_PER_MS);
}
