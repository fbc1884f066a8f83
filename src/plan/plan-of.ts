/**
 * Scenario + facts about the target -> Plan. Pure: the same scenario and facts give the same plan, to the seed.
 *
 *   sweep      the axes' product as cells (sweep.ts), with their adapters (adapters.ts)
 *   check      what cannot work is refused before anything starts (limits.ts)
 *   order      server by server; within one, replicate by replicate, in random order (order.ts)
 *   estimate   what it will take (estimate.ts); warnings: what it will not show (warnings.ts)
 */
import { BenchError } from '../errors.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import { sha256Of } from '../scenario/hash.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { shortageError, shortageText } from './adapters.ts';
import { estimateOf } from './estimate.ts';
import type { TargetFacts } from './facts.ts';
import { checkEngineLimits } from './limits.ts';
import { runsOf } from './order.ts';
import type { Cell, Plan, PlannedRun } from './plan.ts';
import { popularityShares } from './shares.ts';
import { standInOf } from './stand-in.ts';
import { type Sweep, sweepOf } from './sweep.ts';
import { mixWarnings, planWarnings } from './warnings.ts';

/** Throws PLAN_INVALID when the plan cannot be carried out as the scenario asks. */
export function planOf(scenario: Scenario, facts: TargetFacts): Plan {
  if (facts.kind === 'engine' && scenario.target.kind !== 'engine') {
    throw new TypeError('an engine plan needs a scenario that was resolved for the engine');
  }
  const sweep = sweepOf(scenario, facts);
  const dropped = droppedCells(sweep, facts);
  const { cells } = sweep;
  if (facts.kind === 'engine') checkEngineLimits(cells, scenario.engine, facts);
  checkWeights(cells);
  const runs = runsOf(cells, scenario.measure);
  return {
    hash: planHash(cells, runs),
    cells,
    runs,
    slo: scenario.slo,
    standIn: standInOf([...new Set(cells.map(({ at }) => at.model))], facts),
    estimate: estimateOf(cells, runs, facts),
    warnings: [...dropped, ...mixWarnings(scenario), ...planWarnings(cells, scenario.engine)],
  };
}

/** Too few adapters at an endpoint: an error, or with `allowFewer` a warning for each point left out. */
function droppedCells({ cells, shortages }: Sweep, facts: TargetFacts): string[] {
  if (shortages.length === 0 || facts.kind !== 'endpoint') return [];
  if (!facts.allowFewer || cells.length === 0) throw shortageError(shortages, facts);
  return [...new Set(shortages.map((shortage) => `cells left out: ${shortageText(shortage, facts)}`))];
}

/** Popularity weights must name adapters that exist, and leave somebody in every cell. */
function checkWeights(cells: readonly Cell[]): void {
  const known = new Set(cells.flatMap((cell) => cell.adapters.map((adapter) => adapter.name)));
  for (const { id, popularity, adapters } of cells) {
    if (popularity.kind !== 'weights' || adapters.length === 0) continue;
    for (const name of Object.keys(popularity.weights)) {
      if (known.has(name)) continue;
      const near = didYouMean(name, known);
      const meant = near === null ? '' : `; did you mean "${near}"?`;
      throw new BenchError(
        'PLAN_INVALID',
        `adapters.popularity: there is no adapter "${name}"${meant} The adapters: ${[...known].join(', ')}`,
      );
    }
    if (popularityShares(popularity, adapters).every((share) => share === 0)) {
      const names = adapters.map((adapter) => adapter.name).join(', ');
      throw new BenchError('PLAN_INVALID', `adapters.popularity: none of cell ${id}'s adapters has a weight: ${names}`);
    }
  }
}

/**
 * Adapter names are left out: the same load on another server, where they are called otherwise, is the same plan. So is the
 * name of a file: its content counts.
 */
function planHash(cells: readonly Cell[], runs: readonly PlannedRun[]): string {
  return sha256Of({
    cells: cells.map(withFileHash).map(({ adapters, popularity, ...cell }) => ({
      ...cell,
      shares: popularityShares(popularity, adapters),
      ranks: adapters.map(({ rank, servedRank }) => [rank, servedRank]),
    })),
    runs,
  });
}

/** The cell with the hash of its file in all places where the file's name or content stands. */
function withFileHash(cell: Cell) {
  const { at, prompt, output } = cell;
  if (prompt.file === undefined) return cell;
  const { hash } = prompt.file;
  const outputTokens = output.lengths.kind === 'file' ? hash : at.outputTokens;
  return { ...cell, at: { ...at, promptTokens: hash, outputTokens }, prompt: { ...prompt, file: hash } };
}
