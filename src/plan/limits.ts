/**
 * What the bundled engine cannot do with a sweep, found before anything starts: more adapters than slots, ranks above
 * the slots' rank, prompts and answers longer than the model's positions. Throws PLAN_INVALID with every fault.
 */
import { geometryOf, isGeometry } from '../../engine/models/geometry.ts';
import { BenchError } from '../errors.ts';
import type { EngineFlags } from '../scenario/scenario.ts';
import { mostTokens } from './lengths-range.ts';
import type { Cell } from './plan.ts';

export function checkEngineLimits(cells: readonly Cell[], flags: EngineFlags): void {
  const faults = new Set(cells.flatMap((cell) => [...adapterFaults(cell, flags), ...lengthFaults(cell, flags)]));
  if (faults.size > 0) throw new BenchError('PLAN_INVALID', [...faults].join('\n'));
}

function adapterFaults(cell: Cell, { maxGpuLoras, maxLoraRank }: EngineFlags): string[] {
  const faults: string[] = [];
  const count = cell.adapters.length;
  if (maxGpuLoras !== undefined && count > maxGpuLoras) {
    faults.push(
      `adapters.count ${count} is above engine.max_gpu_loras ${maxGpuLoras}, and more adapters than slots are not ` +
        `supported yet; accepted: up to ${maxGpuLoras}, or a larger engine.max_gpu_loras`,
    );
  }
  const served = Math.max(0, ...cell.adapters.map((adapter) => adapter.servedRank ?? 0));
  if (maxLoraRank !== undefined && served > maxLoraRank) {
    faults.push(`rank ${served} is above engine.max_lora_rank ${maxLoraRank}; accepted: up to ${maxLoraRank}`);
  }
  return faults;
}

function lengthFaults(cell: Cell, flags: EngineFlags): string[] {
  const geometry = geometryOf(cell.at.model);
  if (!isGeometry(geometry)) return [];
  const tokens = mostTokens(cell.prompt.lengths) + mostTokens(cell.output.lengths);
  const most = Math.min(geometry.maxPosition, flags.maxModelLen ?? Number.POSITIVE_INFINITY);
  if (tokens <= most) return [];
  const why =
    most === geometry.maxPosition ? `${cell.at.model} has positions for ${most}` : `engine.max_model_len is ${most}`;
  return [`prompt and output together reach ${tokens} tokens, but ${why}`];
}
