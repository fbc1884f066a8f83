/**
 * How far a result can be trusted, in words: one line to read first, and what stands behind it.
 *
 * A result in; a level, a headline, and reasons out. Doubts are said, never hidden: failed runs and doubtful cells are
 * worse than a client that added to times, this worse than failed requests, these worse than warnings. A stand-in is told apart, since it is not a fault but a limit.
 */
import type { CellResult, Result } from '../result/schema.ts';
import { plural, shareText } from './numbers.ts';
import { adaptersText, cellName, loadKindOf, loadOf, loadText } from './panels.ts';
import { cellCounts } from './values.ts';
import { declaredRanks, servedRanks } from './words.ts';

export interface Trust {
  level: 'good' | 'care' | 'bad';
  headline: string;
  reasons: string[];
}

export interface StandInNotice {
  headline: string;
  text: string;
}

const placeOf = (result: Result, cell: CellResult): string =>
  `${cellName(result, cell)} (${adaptersText(cell.at.adapters)}, ${loadText(loadKindOf(cell.at), loadOf(cell.at))})`;

const namesOf = (result: Result, cells: readonly CellResult[]): string =>
  cells.map((cell) => cellName(result, cell)).join(', ');

function runTroubles(result: Result): string[] {
  return result.cells.flatMap((cell) => {
    if (cell.runs.length === 0) return [`${placeOf(result, cell)}: no run was started.`];
    return cell.runs.flatMap((run) => [
      ...(run.state === 'done'
        ? []
        : [
            `${placeOf(result, cell)}: the run ${run.state === 'failed' ? 'failed' : 'was interrupted'} after ${plural(run.counts.issued, 'request')}.`,
          ]),
      ...(run.validity.valid ? [] : [`${placeOf(result, cell)}: not valid: ${run.validity.reasons.join('; ')}.`]),
    ]);
  });
}

function failedRequests(result: Result): string[] {
  return result.cells.flatMap((cell) => {
    const counts = cellCounts(cell);
    if (counts.failed === 0) return [];
    const names = Object.entries(counts.errors).map(([name, count]) => `${name} ${count}`);
    return [
      `${placeOf(result, cell)}: ${counts.failed} of ${plural(counts.issued, 'request')} failed (${names.join(', ') || 'no reason kept'}).`,
    ];
  });
}

const clientLimited = (result: Result): CellResult[] =>
  result.cells.filter(({ runs }) => runs.some(({ validity }) => (validity.clientError?.limited.length ?? 0) > 0));

/** One line a warning, with all the cells it is true of. */
function runWarnings(result: Result): string[] {
  const cellsOf = new Map<string, CellResult[]>();
  for (const cell of result.cells) {
    for (const warning of new Set(cell.runs.flatMap((run) => run.validity.warnings))) {
      cellsOf.set(warning, [...(cellsOf.get(warning) ?? []), cell]);
    }
  }
  return [...cellsOf].map(([warning, cells]) => {
    const [only] = cells;
    const place = only && cells.length === 1 ? placeOf(result, only) : namesOf(result, cells);
    return `${place}: ${warning}`;
  });
}

/** With fewer samples the 99th percentile, by nearest rank, is the slowest of all. */
const ENOUGH_FOR_P99 = 100;

function smallSamples(result: Result): string[] {
  const issued = result.cells.flatMap((cell) => cell.runs.map((run) => run.counts.issued)).filter((count) => count > 0);
  const fewest = Math.min(...issued);
  if (issued.length === 0 || fewest >= ENOUGH_FOR_P99) return [];
  return [
    `Runs have as few as ${plural(fewest, 'request')}: below ${ENOUGH_FOR_P99}, a p99 of TTFT or TPOT is the slowest request.`,
  ];
}

export function trustOf(result: Result): Trust {
  const troubles = runTroubles(result);
  const failures = failedRequests(result);
  const warnings = [...result.warnings, ...runWarnings(result)];
  const all = result.cells.reduce((sum, cell) => sum + cellCounts(cell).issued, 0);
  const failed = result.cells.reduce((sum, cell) => sum + cellCounts(cell).failed, 0);
  const single = result.cells.length > 0 && result.cells.every((cell) => cell.runs.length <= 1);
  const noise = single
    ? ['Each cell was run once, so how much runs differ is not known: don’t read much into a few percent.']
    : [];
  const reasons = [...troubles, ...failures, ...warnings, ...noise, ...smallSamples(result)];
  if (all === 0) return { level: 'bad', headline: 'Nothing was measured.', reasons };
  if (troubles.length > 0) {
    return {
      level: 'bad',
      headline: `Don’t rely on all of this: ${plural(troubles.length, 'run')} did not finish or cannot be judged.`,
      reasons,
    };
  }
  const limited = clientLimited(result);
  if (limited.length > 0) {
    return {
      level: 'bad',
      headline: `Client limited: in ${plural(limited.length, 'cell')} (${namesOf(result, limited)}) the client, not the server, made up a part of the times.`,
      reasons,
    };
  }
  if (failed > 0) {
    return {
      level: 'care',
      headline: `Read with care: ${failed} of ${plural(all, 'request')} failed (${shareText(failed / all)}).`,
      reasons,
    };
  }
  if (warnings.length > 0) {
    return {
      level: 'care',
      headline: `Read with care: all ${plural(all, 'request')} succeeded, with ${plural(reasons.length, 'warning')}.`,
      reasons,
    };
  }
  return { level: 'good', headline: `All ${plural(all, 'request')} succeeded; no warnings.`, reasons };
}

export function standInNotice(result: Result): StandInNotice | null {
  const { standIn } = result;
  if (standIn === null) return null;
  const declared = declaredRanks(result);
  const served = servedRanks(result);
  const ranks =
    declared === null
      ? ''
      : ` Declared rank ${declared} was served as rank ${served ?? declared}, so that an adapter keeps its share of the work.`;
  return {
    headline: `A stand-in was measured, not ${standIn.for}.`,
    text: `${standIn.for} at scale ${standIn.scale} ran in its place: ${standIn.why.replace(/\.$/, '')}.${ranks} Times, throughput and cost below are the stand-in’s on this machine; they say nothing about how fast ${standIn.for} is.`,
  };
}
