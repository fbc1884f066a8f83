/**
 * One side of `bench compare`: results of one plan, ours or AIPerf's, as runs of cells with figures. In: files and folders. Out:
 * Comparable, which knows no more of where it is from than a comparison has to.
 *
 * Several results are several sessions of one plan and model; what is not of one plan is refused, here and between sides. An
 * AIPerf export (profile_export_aiperf.json, docs/reference/json-export-schema.md) is one run of one cell, and says little of a
 * plan. Beside one, a result of ours is read as the export that it would be, so that like stands beside like.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import type { At } from '../plan/plan.ts';
import { aiperfExport, documentOf } from './aiperf.ts';
import { AIPERF_FILE } from './aiperf-files.ts';
import { aiperfFigures } from './aiperf-import.ts';
import type { Arm } from './arms.ts';
import { FIGURE_STATS, type Figure, type Figures, figureKey, plainFigure } from './figures.ts';
import { RESULT_FILE, readResult } from './read.ts';
import { type Bounded, type CellResult, isDistribution, isScalar, type Result, type RunResult } from './schema.ts';

export interface ComparableRun {
  session: string;
  /** Pair of a comparison that was measured in one invocation; null otherwise. */
  pair: number | null;
  /** Requests that did not succeed, of those issued. */
  lost: number;
  issued: number;
  /** Why it is not to be trusted: what makes it invalid, and what the client itself added to. */
  doubts: string[];
  figures: Figures;
}

export interface ComparableCell {
  /** Equal for cells that carry the same load; null where that is not known. */
  key: string | null;
  at: Partial<At> | null;
  runs: ComparableRun[];
  /** Runs that failed or were cut short, and are not among them. */
  unfinished: number;
}

export interface Comparable {
  from: string;
  /** Of a result with two targets, which. */
  arm: Arm | null;
  kind: 'bench' | 'aiperf';
  /** null where it is not said. */
  model: string | null;
  planHash: string | null;
  /** The scenario as it was resolved, to say where two plans differ; null where there is none. */
  scenario: unknown;
  standIn: string | null;
  sessions: string[];
  cells: ComparableCell[];
}

export interface ReadOptions {
  /** Which of a comparison's two targets; null where a result has one. */
  arm?: Arm | null;
  /** Figures by AIPerf's definitions, of our results too. */
  asAiperf?: boolean;
}

/** @throws BenchError USAGE for what can't be read, and for files that are no sessions of one measurement */
export function readComparable(paths: readonly string[], options: ReadOptions = {}): Comparable {
  const sides = paths.map((path) => (isAiperf(path) ? ofAiperf(path) : ofResult(readResult(path), path, options)));
  const [first, ...rest] = sides;
  if (first === undefined) throw new BenchError('USAGE', 'there is nothing to compare: no file was found');
  return rest.reduce((all, one, i) => together(all, one, [paths[0] ?? '', paths[i + 1] ?? '']), first);
}

/** Of a folder its result.json decides; AIPerf's file there is our own export of it. */
function isAiperf(path: string): boolean {
  if (isFolder(path)) return isFileIn(path, AIPERF_FILE) && !isFileIn(path, RESULT_FILE);
  return /aiperf.*\.json$/i.test(path);
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
const isFileIn = (folder: string, name: string): boolean =>
  statSync(join(folder, name), { throwIfNoEntry: false })?.isFile() === true;

function ofResult(result: Result, path: string, { arm = null, asAiperf = false }: ReadOptions): Comparable {
  if (arm === null && result.targets.some((target) => target.arm !== undefined)) {
    throw new BenchError('USAGE', `${path} has two targets; compare them with each other: bench compare ${path}`);
  }
  const targets = result.targets.filter((target) => arm === null || target.arm === arm);
  const ids = new Set(targets.map(({ id }) => id));
  const cells = result.cells.filter(({ target }) => ids.size === 0 || ids.has(target));
  const models = new Set(cells.map(({ at }) => at.model));
  const figuresOf = (cell: CellResult, run: RunResult) =>
    asAiperf ? figuresAsExported(result, cell, run) : figuresOfRun(run);
  return {
    from: arm === null ? path : `${path}, target ${arm} at ${targets.map(({ url }) => url).join(', ')}`,
    arm,
    kind: 'bench',
    model: models.size === 1 ? ([...models][0] ?? null) : null,
    planHash: result.planHash,
    scenario: result.scenario.resolved,
    standIn: result.standIn === null ? null : `${result.standIn.scale} of ${result.standIn.for}`,
    sessions: [result.session],
    cells: cells.map((cell) => {
      const runs = cell.runs.filter((run) => arm === null || run.arm === arm);
      const done = runs.filter(({ state }) => state === 'done');
      return {
        key: cell.id,
        at: cell.at,
        runs: done.map((run) => comparableRun(run, result.session, figuresOf(cell, run))),
        unfinished: runs.length - done.length,
      };
    }),
  };
}

export function comparableRun(run: RunResult, session: string, figures: Figures = figuresOfRun(run)): ComparableRun {
  const { valid, reasons, clientError } = run.validity;
  const doubts = [
    ...(valid ? [] : reasons.length === 0 ? ['invalid'] : reasons),
    ...(clientError?.limited ?? []).map((figure) => `client limited in ${figure}`),
  ];
  const { issued, ok } = run.counts;
  return { session, pair: run.arm === null ? null : run.pair, lost: issued - ok, issued, doubts, figures };
}

/** By our own definitions. */
export function figuresOfRun(run: Pick<RunResult, 'metrics'>): Figures {
  const figures = new Map<string, Figure>();
  for (const [name, metric] of Object.entries(run.metrics)) {
    if (isScalar(metric)) figures.set(figureKey(name, 'value'), plainFigure(metric.value));
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
  return figures;
}

function figuresAsExported(result: Result, cell: CellResult, run: RunResult): Figures {
  return aiperfFigures(documentOf(aiperfExport(result, cell, cell.runs.indexOf(run))), 'the result').figures;
}

function ofAiperf(path: string): Comparable {
  const file = isFolder(path) ? join(path, AIPERF_FILE) : path;
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new BenchError('USAGE', `cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  const { figures, model, concurrency, lost, issued, complete, id } = aiperfFigures(document, file);
  const run: ComparableRun = { session: id, pair: null, lost, issued, doubts: [], figures };
  const at = concurrency === null ? null : { concurrency };
  return {
    ...{ from: file, arm: null, kind: 'aiperf', model, planHash: null, scenario: null, standIn: null, sessions: [id] },
    cells: [{ key: null, at, runs: complete ? [run] : [], unfinished: complete ? 0 : 1 }],
  };
}

function together(a: Comparable, b: Comparable, [from, other]: [string, string]): Comparable {
  const repeated = b.sessions.find((session) => a.sessions.includes(session));
  const differs =
    a.kind !== b.kind
      ? 'one is an export of AIPerf'
      : a.planHash !== b.planHash
        ? 'they are of different plans'
        : a.model !== b.model
          ? `one is of ${a.model}, the other of ${b.model}`
          : a.standIn !== b.standIn
            ? 'one is of a stand-in that the other is not of'
            : repeated !== undefined
              ? `both are of session ${repeated}, which would count twice`
              : null;
  if (differs !== null) {
    throw new BenchError('USAGE', `${from} and ${other} are no sessions of one measurement: ${differs}`);
  }
  const cells = a.cells.map((cell) => {
    const more = b.cells.find(({ key }) => key === cell.key);
    return {
      ...cell,
      runs: [...cell.runs, ...(more?.runs ?? [])],
      unfinished: cell.unfinished + (more?.unfinished ?? 0),
    };
  });
  return { ...a, from: andMore(a.from), sessions: [...a.sessions, ...b.sessions], cells };
}

/** Of many paths the first, and how many more. */
function andMore(from: string): string {
  const before = / and (?<count>\d+) more$/.exec(from);
  const count = Number(before?.groups?.['count'] ?? 0) + 1;
  return `${from.slice(0, before?.index)} and ${count} more`;
}
