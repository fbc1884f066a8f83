/**
 * Open loop: every request leaves at its intended time, whatever the server does. In: requests with their offsets, when to
 * stop, how long to wait at the end. Out: resolves when all have ended; those still in flight after the drain are cut.
 *
 * Never waits for a reply, and never skips a request that is late: it leaves at once, and its lag is in its record.
 */
import type { LoopOptions } from './load-loop.ts';
import { timer, waitUntil } from './pacer.ts';

export interface OpenLoopOptions extends LoopOptions {
  drainMs: number;
  /** Cuts what is in flight; called once, when the drain is over and something still is. */
  cut: () => void;
}

export async function openLoop(options: OpenLoopOptions): Promise<void> {
  const { start, until, now, signal } = options;
  const inFlight = new Set<Promise<void>>();
  for (;;) {
    const spec = await options.next();
    if (spec === null) break;
    if (spec.intendedOffset === null) throw new Error('a request of an open loop has no intended time');
    const intended = start + spec.intendedOffset;
    if (intended >= until) break;
    await waitUntil(intended, now, signal);
    if (signal.aborted) break;
    const ended = options.issue(spec, intended).finally(() => inFlight.delete(ended));
    inFlight.add(ended);
  }
  // A run that is measured by time lasts that long, also when its last arrival comes earlier.
  if (Number.isFinite(until)) await waitUntil(until, now, signal);
  await drain(inFlight, options);
}

async function drain(inFlight: Set<Promise<void>>, { drainMs, signal, cut }: OpenLoopOptions): Promise<void> {
  const all = Promise.all(inFlight);
  const stop = new AbortController();
  const over = timer(drainMs, AbortSignal.any([signal, stop.signal])).then(() => 'over' as const);
  const first = await Promise.race([all.then(() => 'ended' as const), over]);
  stop.abort();
  if (first === 'over' && inFlight.size > 0) cut();
  await all;
}
