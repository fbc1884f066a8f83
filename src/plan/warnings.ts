/**
 * Doubts about a plan that don't forbid it: cells whose requests or load cannot touch all their adapters, adapters that
 * get no requests, ranks and kinds that get no adapter, adapters that have to take turns, and what prompts from a file are
 * not (prompt-doubts.ts). One line for each kind of doubt, naming its cells.
 */
import type { EngineFlags, Scenario } from '../scenario/scenario.ts';
import { rankLabel } from './labels.ts';
import type { Cell } from './plan.ts';
import { promptDoubts } from './prompt-doubts.ts';
import { dealtRanks } from './ranks.ts';
import { expectedTouched } from './shares.ts';

/** @param flags the scenario's `engine` block; empty for an endpoint */
export function planWarnings(cells: readonly Cell[], flags: EngineFlags): string[] {
  const grouped = new Map<string, string[]>();
  for (const cell of cells) {
    for (const doubt of [...doubtsOf(cell), ...residencyDoubts(cell, flags), ...promptDoubts(cell)])
      grouped.set(doubt, [...(grouped.get(doubt) ?? []), cell.id]);
  }
  return [...grouped].map(([doubt, ids]) => `${ids.join(', ')}: ${doubt}`);
}

function doubtsOf(cell: Cell): string[] {
  const doubts: string[] = [];
  const count = cell.adapters.length;
  if (count === 0) return doubts;
  const { popularity, load, measure } = cell;
  if (popularity.kind === 'identical' && count > 1) {
    doubts.push(`identical sends every request to the first of ${count} adapters`);
  } else if ('requests' in measure) {
    const touched = expectedTouched(cell, measure.requests);
    if (touched < count - 0.5) {
      doubts.push(`${measure.requests} requests reach about ${Math.round(touched)} of ${count} adapters`);
    }
  }
  if (load.kind === 'closed' && load.concurrency < count && popularity.kind !== 'identical') {
    doubts.push(
      'fewer requests are in flight than there are adapters; active_adapters in the report says how many were',
    );
  }
  const kinds = new Set(cell.adapters.flatMap(({ kind }) => kind ?? []));
  const declared = /^mix\((.+)\)$/.exec(cell.at.kind ?? '')?.[1]?.split(',').length ?? 1;
  if (kinds.size > 0 && kinds.size < declared) {
    doubts.push(`${count} adapters hold ${kinds.size} of the ${declared} kinds of ${cell.at.kind}`);
  }
  if (popularity.kind === 'weights') {
    const without = cell.adapters.filter((adapter) => popularity.weights[adapter.name] === undefined);
    if (without.length > 0) doubts.push(`no weight, so no requests, for ${without.map((a) => a.name).join(', ')}`);
  }
  return doubts;
}

/** What the figures of a cell hold beside the cost of its adapters' arithmetic. */
function residencyDoubts({ at, adapters, load }: Cell, { maxGpuLoras }: EngineFlags): string[] {
  const doubts: string[] = [];
  const count = adapters.length;
  if (at.mode === 'dynamic' && maxGpuLoras !== undefined && count > maxGpuLoras) {
    doubts.push(
      `${count} adapters take turns in ${maxGpuLoras} slots (engine.max_gpu_loras), so requests also wait for theirs`,
    );
  }
  const cold = at.residency === 'cold_host' || at.residency === 'cold_disk';
  if (cold && load.kind === 'closed' && load.concurrency >= count) {
    doubts.push(
      `an adapter that is in use is not cold, and ${load.concurrency} in flight rarely leave any of ${count} idle; the ` +
        'count of ttft_cold says how many requests were',
    );
  }
  if (at.residency === 'cold_disk') {
    doubts.push(
      "cold_disk reads adapters through the operating system's cache, which may hold files that were written just " +
        "before; a disk's own speed is not in it then",
    );
  }
  return doubts;
}

/** Counts too small to hold every rank of a mix. */
export function mixWarnings({ adapters }: Scenario): string[] {
  return (adapters?.ranks ?? []).flatMap((rank) =>
    rank.kind === 'one'
      ? []
      : (adapters?.counts ?? [])
          .map((count) => ({ count, ranks: new Set(dealtRanks(rank, count)).size }))
          .filter(({ count, ranks }) => count > 0 && ranks < rank.shares.length)
          .map(
            ({ count, ranks }) =>
              `adapters.count ${count} holds ${ranks} of the ${rank.shares.length} ranks of ${rankLabel(rank)}`,
          ),
  );
}
