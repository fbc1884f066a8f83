/**
 * Doubts about a plan that don't forbid it: cells whose requests or load cannot touch all their adapters, adapters that
 * get no requests, ranks that get no adapter. One line for each kind of doubt, naming its cells.
 */
import type { Scenario } from '../scenario/scenario.ts';
import { rankLabel } from './labels.ts';
import type { Cell } from './plan.ts';
import { dealtRanks } from './ranks.ts';
import { expectedTouched } from './shares.ts';

export function planWarnings(cells: readonly Cell[]): string[] {
  const grouped = new Map<string, string[]>();
  for (const cell of cells) {
    for (const doubt of doubtsOf(cell)) grouped.set(doubt, [...(grouped.get(doubt) ?? []), cell.id]);
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
  if (popularity.kind === 'weights') {
    const without = cell.adapters.filter((adapter) => popularity.weights[adapter.name] === undefined);
    if (without.length > 0) doubts.push(`no weight, so no requests, for ${without.map((a) => a.name).join(', ')}`);
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
