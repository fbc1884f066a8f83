/**
 * How many threads measure a cell: `--workers N`, or as many as its streams need. In: the cell's load, what is known of a
 * request's time. Out: a number of threads, at least 1.
 *
 * One thread stamps about a hundred streams that a server writes to in step to within two milliseconds, and sends a thousand
 * requests a second on time. One core is left to the main thread and whatever else runs: with two threads on two cores
 * requests left 2.6 ms late at p99 where with one they left 0.5 ms late (test/perf/client-speed.mjs).
 */
import os from 'node:os';
import type { Cell } from '../plan/plan.ts';

export type WorkersOption = number | 'auto';

export const STREAMS_PER_WORKER = 100;
const REQUESTS_PER_WORKER_SECOND = 1_000;

/** @param expectedNs how long a request should take; 0 when unknown */
export function workersFor(
  { load }: Pick<Cell, 'load'>,
  option: WorkersOption,
  expectedNs: number,
  cores = os.availableParallelism(),
): number {
  if (option !== 'auto') return option;
  const streams = load.kind === 'closed' ? load.concurrency : load.rate * (expectedNs / 1e9);
  const rate = load.kind === 'closed' ? 0 : load.rate;
  const wanted = Math.max(Math.ceil(streams / STREAMS_PER_WORKER), Math.ceil(rate / REQUESTS_PER_WORKER_SECOND));
  return Math.max(1, Math.min(wanted, cores - 1));
}
