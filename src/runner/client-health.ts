/**
 * How the client fared in a run, from what its threads saw. In: each thread's health. Out: the worst of them where one
 * would suffer for all, as it stands in result.json.
 */
import type { ClientHealth } from '../result/schema.ts';
import { stampErrorOf } from './stamp-error.ts';
import type { ThreadHealth } from './thread-monitor.ts';

export function clientHealthOf(threads: readonly ThreadHealth[]): ClientHealth {
  const most = (of: (thread: ThreadHealth) => number) => Math.max(0, ...threads.map(of));
  return {
    workers: threads.length,
    stampError: stampErrorOf(threads.flatMap(({ stampErrorsNs }) => stampErrorsNs)),
    gcPauseMaxMs: most(({ gc }) => gc.maxMs),
    gcPauseTotalMs: most(({ gc }) => gc.totalMs),
    eventLoopDelayP99Ms: most(({ eventLoopDelay }) => eventLoopDelay.p99Ms),
    eventLoopDelayMaxMs: most(({ eventLoopDelay }) => eventLoopDelay.maxMs),
    busy: most(({ busy }) => busy),
  };
}
