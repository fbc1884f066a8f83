/**
 * Metrics that a planned cell cannot have, whatever is measured. In: the metric, the cell, the plan. Out: why not, or null.
 * What only the server's answers show (tokens per chunk, say) is not asked here.
 */
import type { Cell, Plan } from '../plan/plan.ts';

type WhyNot = (cell: Cell, plan: Plan) => string | null;

const needsSlo: WhyNot = (_, { slo }) => (slo === null ? 'the scenario has no slo' : null);
const needsAdapters =
  (least: number): WhyNot =>
  ({ adapters }) =>
    adapters.length >= least ? null : `${adapters.length} adapters are too few: it takes ${least}`;
const needsWarmth: WhyNot = ({ at }) =>
  at.adapters === 0 || at.mode === 'merged' ? 'the base model alone waits for no adapter' : null;
const needsColdness: WhyNot = (cell, plan) =>
  needsWarmth(cell, plan) ?? (cell.at.residency === 'warm' ? 'its adapters are warm (adapters.residency)' : null);

const WHY_NOT: Readonly<Record<string, WhyNot>> = {
  goodput: needsSlo,
  goodput_fraction: needsSlo,
  send_lag: ({ load }) => (load.kind === 'closed' ? 'a closed loop is never late' : null),
  active_adapters: needsAdapters(1),
  ttft_worst_adapter: needsAdapters(2),
  tpot_worst_adapter: needsAdapters(2),
  adapter_fairness: needsAdapters(2),
  ttft_warm: needsWarmth,
  ttft_cold: needsColdness,
  adapter_load: needsColdness,
};

export const whyImpossible = (metric: string, cell: Cell, plan: Plan): string | null =>
  WHY_NOT[metric]?.(cell, plan) ?? null;
