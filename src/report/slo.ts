/**
 * The limits that a scenario set for each request, as the metrics that are judged by them, and whether a cell is within them. A result
 * in, milliseconds out; null where it set none. `slo.itl` is judged on tpot (metrics/slo-met.ts).
 */
import type { CellResult, Result } from '../result/schema.ts';
import { durationMs } from '../scenario/units.ts';
import { cellFigure } from './values.ts';

export type SloMetric = 'ttft' | 'tpot' | 'e2e';
export type SloLimits = Record<SloMetric, number | null>;

const KEYS: Record<SloMetric, string> = { ttft: 'ttft', tpot: 'itl', e2e: 'e2e' };

export function sloOf({ scenario }: Pick<Result, 'scenario'>): SloLimits | null {
  const slo = (scenario.resolved as Record<string, unknown> | null)?.['slo'];
  if (typeof slo !== 'object' || slo === null) return null;
  const limit = (metric: SloMetric): number | null => {
    const text = (slo as Record<string, unknown>)[KEYS[metric]];
    return typeof text === 'string' ? durationMs(text) : null;
  };
  return { ttft: limit('ttft'), tpot: limit('tpot'), e2e: limit('e2e') };
}

/** Less than all: one slow request in a hundred would decide. More than the 90% that serving papers ask (DistServe, OSDI 2024). */
const ENOUGH = 0.95;

export const sloRule = `at least ${100 * ENOUGH} % of requests met every limit`;

/** Enough of a cell's requests met every limit; failed ones met none. */
export function isWithinSlo(cell: CellResult): boolean {
  const { value, partial } = cellFigure(cell, 'goodput_fraction', 'value');
  return value !== null && !partial && value >= ENOUGH;
}
