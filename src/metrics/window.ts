/**
 * The window of a run in which its load counts as steady. In: requests, the load asked for, the last issue. Out: from, to.
 *
 * Closed loop: from the moment the asked concurrency is first in flight. Open loop: from the first send. Where latencies
 * settle later than that, from then (steady-state.ts). To the last issue: afterwards the load only falls. Where the
 * concurrency is never reached, or only with the last issue, the window is empty and rates are unavailable.
 */
import type { Load } from '../plan/plan.ts';
import type { RequestRecord } from '../result/schema.ts';
import { firstReach, type Step } from '../stats/step-function.ts';

/** From when on the load is the one asked for, to the last issue. */
export function loadedWindow(
  records: readonly RequestRecord[],
  inFlight: readonly Step[],
  load: Load,
  lastIssue: number,
): { from: number; to: number } {
  const firstSend = records.reduce((first, { sent }) => Math.min(first, sent), lastIssue);
  const from = load.kind === 'closed' ? (firstReach(inFlight, load.concurrency) ?? lastIssue) : firstSend;
  return { from, to: Math.max(from, lastIssue) };
}
