/**
 * One side of `bench compare`: results of one plan, ours or AIPerf's, as runs of cells with figures. In: files, folders, patterns. Out:
 * Comparable, which knows no more of where it is from than what a comparison has to.
 *
 * Several results are several sessions of one plan and model; what is not of one plan is refused, here and between sides. An
 * AIPerf export (profile_export_aiperf.json, docs/reference/json-export-schema.md) is one run of one cell, and says nothing of a plan.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import type { At } from '../plan/plan.ts';
import { aiperfFigures } from './aiperf-import.ts';
import type { Arm } from './arms.ts';
import { readResult } from './read.ts';
import { type Bounded, isDistribution, isScalar, type Result, type RunResult } from './schema.ts';

export const FIGURE_STATS = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999'] as const;
export type FigureStat = (typeof FIGURE_STATS)[number] | 'value';

export interface Figure {
  value: number;
  /** It is at least that: it fell among requests that failed. */
  atLeast: boolean;
  /** 99% interval within the run; null where it has none. */
  within: [number, number] | null;
}

/** "tpot p50" and the like -> its figure. */
export type Figures = ReadonlyMap<string, Figure>;
export const figureKey = (metric: string, stat: FigureStat): string => `${metric} ${stat}`;

export interface ComparableRun {
  session: string;
  /** Pair of a comparison that was measured in one invocation; null otherwise. */
  pair: number | null;
  /** Requests that did not succeed, of those issued. */
  lost: number;
  issued: number;
  figures: Figures;
}

export interface ComparableCell {
  /** Equal for cells that carry the same load; null where that is not known. */
  key: string | null;
  at: At | null;
  runs: ComparableRun[];
}

export interface Comparable {
  from: string;
  kind: 'bench' | 'aiperf';
  /** null where it is not said. */
  model: string | null;
  planHash: string | null;
  standIn: string | null;
  sessions: string[];
  cells: ComparableCell[];
}

/** @param arm which of a comparison's two targets; null where a result has one @throws BenchError USAGE */
export function readComparable(paths: readonly string[], arm: Arm | null = null): Comparable {
  const sides = paths.map((path) => (isAiperf(path) ? ofAiperf(path) : ofResult(readResult(path), path, arm)));
  const [first, ...rest] = sides;
  if (first === undefined) throw new BenchError('USAGE', 'there is nothing to compare: no file was found');
  return rest.reduce((all, one, i) => together(all, one, [paths[0] ?? '', paths[i + 1] ?? '']), first);
}

/** Of a folder its result.json decides; AIPerf's file there is our own export of it. */
function isAiperf(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    return existsIn(path, 'profile_export_aiperf.json') && !existsIn(path, 'result.json');
  }
  return /aiperf.*\.json$/i.test(path);
}

const existsIn = (folder: string, name: string): boolean =>
  statSync(join(folder, name), { throwIfNoEntry: false })?.isFile() === true;

function ofResult(result: Result, path: string, arm: Arm | null): Comparable {
  const arms = new Set(result.targets.flatMap((target) => target.arm ?? []));
  if (arms.size > 0 && arm === null) {
    throw new BenchError('USAGE', `${path} has two targets; compare them with each other: bench compare ${path}`);
  }
  const targets = result.targets.filter((target) => arm === null || target.arm === arm);
  const models = new Set(result.cells.map(({ at }) => at.model));
  const ids = new Set(targets.map(({ id }) => id));
  return {
    from: path,
    kind: 'bench',
    model: models.size === 1 ? ([...models][0] ?? null) : null,
    planHash: result.planHash,
    standIn: result.standIn === null ? null : `${result.standIn.scale} of ${result.standIn.for}`,
    sessions: [result.session],
    cells: result.cells
      .filter(({ target }) => ids.size === 0 || ids.has(target))
      .map(({ id, at, runs }) => ({
        key: id,
        at,
        runs: runs
          .filter((run) => run.state === 'done' && (arm === null || run.arm === arm))
          .map((run) => ofRun(run, result.session)),
      })),
  };
}

function ofRun(run: RunResult, session: string): ComparableRun {
  const figures = new Map<string, Figure>();
  for (const [name, metric] of Object.entries(run.metrics)) {
    if (isScalar(metric)) figures.set(figureKey(name, 'value'), exact(metric.value));
    if (!isDistribution(metric)) continue;
    for (const stat of FIGURE_STATS) {
      const bounded: Bounded = metric[stat];
      const value = typeof bounded === 'number' ? bounded : bounded.gt;
      // A mean is of what was seen; with samples that were not, the true one is higher.
      const atLeast = typeof bounded !== 'number' || (stat === 'mean' && metric.censored > 0);
      const within = stat === 'mean' ? null : (metric.intervals?.[stat] ?? (stat === 'p99' ? metric.ci99 : null));
      if (Number.isFinite(value)) figures.set(figureKey(name, stat), { value, atLeast, within });
    }
  }
  const { issued, ok } = run.counts;
  return { session, pair: run.arm === null ? null : run.pair, lost: issued - ok, issued, figures };
}

const exact = (value: number): Figure => ({ value, atLeast: false, within: null });

function ofAiperf(path: string): Comparable {
  const file = existsIn(path, 'profile_export_aiperf.json') ? join(path, 'profile_export_aiperf.json') : path;
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new BenchError('USAGE', `cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  const { figures, model, lost, issued, id } = aiperfFigures(document, file);
  const run: ComparableRun = { session: id, pair: null, lost, issued, figures };
  return {
    ...{ from: file, kind: 'aiperf', model, planHash: null, standIn: null, sessions: [id] },
    cells: [{ key: null, at: null, runs: [run] }],
  };
}

function together(a: Comparable, b: Comparable, [from, other]: [string, string]): Comparable {
  const differs =
    a.kind !== b.kind
      ? 'one is an export of AIPerf'
      : a.planHash !== b.planHash
        ? 'they are of different plans'
        : a.model !== b.model
          ? `one is of ${a.model}, the other of ${b.model}`
          : null;
  if (differs !== null) {
    throw new BenchError('USAGE', `${from} and ${other} are no sessions of one measurement: ${differs}`);
  }
  const cells = a.cells.map((cell) => ({
    ...cell,
    runs: [...cell.runs, ...(b.cells.find(({ key }) => key === cell.key)?.runs ?? [])],
  }));
  return { ...a, from: `${a.from}, ${b.from}`, sessions: [...a.sessions, ...b.sessions], cells };
}
