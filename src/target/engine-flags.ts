/**
 * The engine's flags: what the scenario says under `engine`, and for the rest what the plan needs.
 *
 * In: the scenario's flags, what one engine must hold, and where its files are. Out: argv of `bench serve`. Sized by the
 * plan, so that a sweep of 32 adapters at 64 in flight is not quietly queued or refused.
 */
import type { EngineNeeds } from '../plan/engine-plan.ts';
import { WARMUP_TOKENS } from '../plan/warmup.ts';
import type { EngineFlags } from '../scenario/scenario.ts';

export interface EnginePlaces {
  /** Of the model; null for a preset. */
  folder: string | null;
  /** Path of the adapter that is folded into the weights; null where none is. */
  mergedPath: string | null;
}

export function engineFlags(needs: EngineNeeds, settings: EngineFlags, places: EnginePlaces): string[] {
  const { gpuMemory, ...given } = settings;
  // The engine reads sizes with a unit.
  const memory = gpuMemory === undefined ? {} : { gpuMemory: `${gpuMemory / 1000}KB` };
  const model = places.folder ?? needs.model;
  const all = { model, weights: needs.weights, port: 0, ...sizes(needs, settings), ...given, ...memory };
  if (needs.merged === null) return argvOf(all);
  // There is no base left to put others on, so the engine takes no room for them, nor a flag that says how much.
  const { maxGpuLoras: _slots, maxCpuLoras: _host, ...rest } = all;
  return argvOf({ ...rest, mergeLora: `${needs.merged}=${places.mergedPath}` });
}

/** Adapters that the device holds at once. */
export const slotsOf = ({ maxAdapters }: EngineNeeds, { maxGpuLoras }: EngineFlags): number =>
  maxGpuLoras ?? Math.max(1, maxAdapters);

function sizes(needs: EngineNeeds, settings: EngineFlags): EngineFlags {
  const { adapters, maxAdapters, maxServedRank, maxTokens, maxConcurrency } = needs;
  return {
    maxGpuLoras: slotsOf(needs, settings),
    // Those made on the device from a seed take no host memory.
    ...(adapters.some(({ inFile }) => inFile) ? { maxCpuLoras: Math.max(maxAdapters, slotsOf(needs, settings)) } : {}),
    maxLoraRank: Math.max(1, maxServedRank),
    maxModelLen: Math.max(WARMUP_TOKENS.prompt + WARMUP_TOKENS.output, maxTokens),
    // An open loop may have any number in flight: the engine's own default decides how many are served at once.
    ...(maxConcurrency === null ? {} : { maxNumSeqs: maxConcurrency }),
  };
}

/** { maxGpuLoras: 4, batchInvariant: true } as --max-gpu-loras 4 --batch-invariant. */
export function argvOf(settings: Readonly<Record<string, string | number | boolean | undefined>>): string[] {
  return Object.entries(settings).flatMap(([key, value]) => {
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === false) return [];
    return value === true ? [flag] : [flag, String(value)];
  });
}
