/**
 * Whether a request met its service-level objectives. In: a record, the SLO. Out: yes, no, or not known.
 *
 * ttft and e2e from the intended send; itl is judged on the request's tpot (GenAI-Perf's inter-token latency). A request
 * that did not succeed met nothing. One whose tokens all came at once has no tpot to miss. One whose tokens are unknown
 * is not known to have met an itl: goodput is then unavailable rather than guessed.
 */
import type { Slo } from '../plan/plan.ts';
import type { RequestRecord } from '../result/schema.ts';
import { e2eOf, tpotOf, ttftOf } from './request-times.ts';

const within = (ns: number | null, limitMs: number | undefined): boolean =>
  limitMs === undefined || (ns !== null && ns <= limitMs * 1e6);

export function sloMet(record: RequestRecord, slo: Slo): boolean | null {
  if (record.outcome !== 'ok') return false;
  if (!within(ttftOf(record), slo.ttftMs) || !within(e2eOf(record), slo.e2eMs)) return false;
  if (slo.itlMs === undefined) return true;
  const tpot = tpotOf(record);
  if (tpot.kind === 'unknown') return null;
  return tpot.kind === 'undefined' || within(tpot.ns, slo.itlMs);
}

/** The requests that met it; null where one of them can't be judged. */
export function goodOf(records: readonly RequestRecord[], slo: Slo): RequestRecord[] | null {
  const good: RequestRecord[] = [];
  for (const record of records) {
    const met = sloMet(record, slo);
    if (met === null) return null;
    if (met) good.push(record);
  }
  return good;
}

export const NO_SLO = 'the scenario states no slo';
