/**
 * What the bundled engine cannot do with a sweep, found before anything starts: ranks above the slots' rank, adapters that
 * should lie in host memory and have no room there, prompts and answers longer than the model's positions. Throws
 * PLAN_INVALID with every fault.
 */
import { BenchError } from '../errors.ts';
import type { EngineFlags } from '../scenario/scenario.ts';
import { geometryIn, type TargetFacts } from './facts.ts';
import { mostTogether } from './lengths-range.ts';
import type { Cell } from './plan.ts';

export function checkEngineLimits(cells: readonly Cell[], flags: EngineFlags, facts: TargetFacts): void {
  const faults = new Set(
    cells.flatMap((cell) => [
      ...adapterFaults(cell, flags),
      ...lengthFaults(cell, flags, geometryIn(facts, cell.at.model)?.maxPosition ?? null),
    ]),
  );
  if (faults.size > 0) throw new BenchError('PLAN_INVALID', [...faults].join('\n'));
}

function adapterFaults(cell: Cell, { maxCpuLoras, maxLoraRank }: EngineFlags): string[] {
  const faults: string[] = [];
  const count = cell.adapters.length;
  if (cell.at.residency === 'cold_host' && maxCpuLoras !== undefined && count > maxCpuLoras) {
    faults.push(
      `adapters.residency cold_host keeps ${count} adapters in host memory, and engine.max_cpu_loras ${maxCpuLoras} is ` +
        `too few; accepted: at least ${count}`,
    );
  }
  const served = Math.max(0, ...cell.adapters.map((adapter) => adapter.servedRank ?? 0));
  if (maxLoraRank !== undefined && served > maxLoraRank) {
    faults.push(`rank ${served} is above engine.max_lora_rank ${maxLoraRank}; accepted: up to ${maxLoraRank}`);
  }
  return faults;
}

function lengthFaults(cell: Cell, flags: EngineFlags, maxPosition: number | null): string[] {
  if (maxPosition === null) return [];
  const tokens = mostTogether(cell);
  const most = Math.min(maxPosition, flags.maxModelLen ?? Number.POSITIVE_INFINITY);
  if (tokens <= most) return [];
  const why = most === maxPosition ? `${cell.at.model} has positions for ${most}` : `engine.max_model_len is ${most}`;
  return [`prompt and output together reach ${tokens} tokens, but ${why}`];
}
