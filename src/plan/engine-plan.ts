/**
 * What the engine must be able to hold for a plan: one entry for each server to start (model, format of its weights, and
 * the adapter in them, if any), in the order of the runs. The runner turns it into the engine's flags.
 */

import type { ModuleName } from '../../engine/models/projections.ts';
import type { WeightFormat } from '../../engine/models/weight-formats.ts';
import { adaptersInFiles, modulesOf } from './adapter-files.ts';
import { type FolderModels, isFolderModel } from './facts.ts';
import { mostTogether } from './lengths-range.ts';
import type { Plan, PlannedAdapter } from './plan.ts';
import { mergedAdapter, serverOf } from './server-of.ts';

export interface NeededAdapter extends PlannedAdapter {
  modules: readonly ModuleName[];
  /** It is made as a file; else on the device, from its seed. */
  inFile: boolean;
}

export interface EngineNeeds {
  model: string;
  weights: WeightFormat;
  /** Ids of the cells that run on it. */
  cells: string[];
  /** Every adapter that any of its cells has, each once. */
  adapters: NeededAdapter[];
  /** The one of them that is folded into the weights; null where none is. */
  merged: string | null;
  /** Most adapters live in one cell; 0 for the base alone. */
  maxAdapters: number;
  /** Largest rank served (after a stand-in's scaling); 0 for the base alone. */
  maxServedRank: number;
  /** Most tokens of prompt and output together, without chat template. */
  maxTokens: number;
  /** Most requests in flight; null where an open loop sets no bound. */
  maxConcurrency: number | null;
}

/** @param folders those of its models that are folders */
export function enginePlan(plan: Plan, folders: FolderModels = {}): EngineNeeds[] {
  const needs = new Map<string, EngineNeeds>();
  for (const cell of plan.cells) {
    const { id, at, adapters, load } = cell;
    const weights = at.weights ?? 'f16';
    const key = serverOf(cell);
    const sameModel = plan.cells.filter((other) => other.at.model === at.model);
    const inFiles = adaptersInFiles(sameModel, isFolderModel(folders, at.model));
    const need = needs.get(key) ?? {
      model: at.model,
      weights,
      cells: [],
      adapters: [],
      merged: mergedAdapter(cell)?.name ?? null,
      maxAdapters: 0,
      maxServedRank: 0,
      maxTokens: 0,
      maxConcurrency: 0,
    };
    needs.set(key, need);
    need.cells.push(id);
    const known = new Set(need.adapters.map((adapter) => adapter.name));
    need.adapters.push(
      ...adapters
        .filter(({ name }) => !known.has(name))
        .map((adapter) => ({ ...adapter, modules: modulesOf(cell), inFile: inFiles.has(adapter.name) })),
    );
    need.maxAdapters = Math.max(need.maxAdapters, adapters.length);
    need.maxServedRank = Math.max(need.maxServedRank, ...adapters.map((adapter) => adapter.servedRank ?? 0));
    need.maxTokens = Math.max(need.maxTokens, mostTogether(cell));
    const unbounded = load.kind === 'open' || need.maxConcurrency === null;
    need.maxConcurrency = unbounded ? null : Math.max(need.maxConcurrency ?? 0, load.concurrency);
  }
  return [...needs.values()];
}
