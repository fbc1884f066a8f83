/**
 * What the engine must be able to hold for a plan: one entry for each server to start (model and format of its weights),
 * in the order of the runs. The runner turns it into the engine's flags.
 */
import { mostTokens } from './lengths-range.ts';
import type { Plan, PlannedAdapter } from './plan.ts';

export interface EngineNeeds {
  model: string;
  weights: string;
  /** Ids of the cells that run on it. */
  cells: string[];
  /** Every adapter that any of its cells has, each once. */
  adapters: PlannedAdapter[];
  /** Most adapters live in one cell; 0 for the base alone. */
  maxAdapters: number;
  /** Largest rank served (after a stand-in's scaling); 0 for the base alone. */
  maxServedRank: number;
  /** Most tokens of prompt and output together, without chat template. */
  maxTokens: number;
  /** Most requests in flight; null where an open loop sets no bound. */
  maxConcurrency: number | null;
}

export function enginePlan(plan: Plan): EngineNeeds[] {
  const needs = new Map<string, EngineNeeds>();
  for (const { id, at, adapters, prompt, output, load } of plan.cells) {
    const weights = at.weights ?? 'f16';
    const key = `${at.model} ${weights}`;
    const need = needs.get(key) ?? {
      model: at.model,
      weights,
      cells: [],
      adapters: [],
      maxAdapters: 0,
      maxServedRank: 0,
      maxTokens: 0,
      maxConcurrency: 0,
    };
    needs.set(key, need);
    need.cells.push(id);
    const known = new Set(need.adapters.map((adapter) => adapter.name));
    need.adapters.push(...adapters.filter((adapter) => !known.has(adapter.name)));
    need.maxAdapters = Math.max(need.maxAdapters, adapters.length);
    need.maxServedRank = Math.max(need.maxServedRank, ...adapters.map((adapter) => adapter.servedRank ?? 0));
    need.maxTokens = Math.max(need.maxTokens, mostTokens(prompt.lengths) + mostTokens(output.lengths));
    const unbounded = load.kind === 'open' || need.maxConcurrency === null;
    need.maxConcurrency = unbounded ? null : Math.max(need.maxConcurrency ?? 0, load.concurrency);
  }
  return [...needs.values()];
}
