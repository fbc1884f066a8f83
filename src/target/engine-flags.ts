/**
 * The engine's flags: what the scenario says under `engine`, and for the rest what the plan needs.
 *
 * In: the scenario's flags and what one engine must hold. Out: argv of `bench serve`. Sized by the plan, so that a sweep
 * of 32 adapters at 64 in flight is not quietly queued or refused.
 */
import type { EngineNeeds } from '../plan/engine-plan.ts';
import { WARMUP_TOKENS } from '../plan/warmup.ts';
import type { EngineFlags } from '../scenario/scenario.ts';

export function engineFlags(needs: EngineNeeds, settings: EngineFlags): string[] {
  const { gpuMemory, ...given } = settings;
  // The engine reads sizes with a unit.
  const memory = gpuMemory === undefined ? {} : { gpuMemory: `${gpuMemory / 1000}KB` };
  return argvOf({ model: needs.model, weights: needs.weights, port: 0, ...sizes(needs), ...given, ...memory });
}

function sizes({ maxAdapters, maxServedRank, maxTokens, maxConcurrency }: EngineNeeds): EngineFlags {
  return {
    maxGpuLoras: Math.max(1, maxAdapters),
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
