/**
 * Two sides of `bench compare`, cell by cell and figure by figure. In: Comparables. Out: Comparison: ratios with intervals, and the
 * least change that would have been seen. Plans or models that differ are refused, not set side by side.
 *
 * The run is the unit. Pairs of one invocation: Student's t on the logarithms of their ratios. Several runs a side: Welch's t on the
 * logarithms (Welch 1947). One run a side: the 99% intervals within the runs, put together so that they can only be too wide; how
 * runs differ is not in them, which is said. Intervals are of 95%.
 */
import { BenchError } from '../../errors.ts';
import type { At } from '../../plan/plan.ts';
import {
  type Comparable,
  type ComparableCell,
  type ComparableRun,
  type Figure,
  type FigureStat,
  figureKey,
} from '../../result/comparable.ts';
import { moments } from '../../stats/moments.ts';
import { studentQuantile } from '../../stats/student.ts';

const TAIL = 0.025;
/** Of the power with which a change is called detectable: 80%. */
const MISS = 0.2;

export type Ground = 'pairs' | 'runs' | 'within one run' | 'none';

export interface Compared {
  metric: string;
  stat: FigureStat;
  /** Means over the runs; geometric, as their ratio is. */
  a: number | null;
  b: number | null;
  /** b / a; null where one is missing. */
  ratio: number | null;
  interval: [number, number] | null;
  ground: Ground;
  runs: { a: number; b: number };
  /** A change so large would have been seen in four of five such comparisons: 0.08 is 8%. null where that is not known. */
  detects: number | null;
  /** Of which side the figure is only known to be at least so high. */
  atLeast: ('a' | 'b')[];
}

export interface ComparedCell {
  key: string;
  at: At | null;
  lost: { a: [number, number]; b: [number, number] };
  figures: Compared[];
}

export interface Comparison {
  a: Comparable;
  b: Comparable;
  cells: ComparedCell[];
  /** What the reader must know. */
  notes: string[];
}

const LATENCIES = ['ttft', 'tpot', 'itl', 'e2e'] as const;
const STATS = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999'] as const;
const RATES = [
  'output_tokens_per_second',
  'output_tokens_per_second_whole_run',
  'requests_per_second',
  'goodput',
] as const;
const FIGURES: readonly (readonly [string, FigureStat])[] = [
  ...LATENCIES.flatMap((metric) => STATS.map((stat) => [metric, stat] as const)),
  ...RATES.map((metric) => [metric, 'value'] as const),
];

/** @throws BenchError USAGE where they are of different plans or models */
export function compareSides(a: Comparable, b: Comparable): Comparison {
  refuseUnlike(a, b);
  const cells = pairsOfCells(a, b).map(([x, y]) => comparedCell(x, y));
  if (cells.every(({ figures }) => figures.length === 0)) {
    throw new BenchError('NO_DATA', 'the two have no figure in common that could be compared');
  }
  return { a, b, cells, notes: notesOn(a, b, cells) };
}

function refuseUnlike(a: Comparable, b: Comparable): void {
  const refuse = (why: string, hint: string) => {
    throw new BenchError('USAGE', `${a.from} and ${b.from} cannot be compared: ${why}`, { hint });
  };
  if (a.model !== null && b.model !== null && a.model !== b.model) {
    refuse(
      `one is of ${a.model}, the other of ${b.model}`,
      'a difference between models says nothing of either server',
    );
  }
  if (a.standIn !== b.standIn) {
    refuse(
      `one is of ${a.standIn ?? 'the model itself'}, the other of ${b.standIn ?? 'the model itself'}`,
      'measure both on the same kind of device',
    );
  }
  if (a.planHash === null || b.planHash === null) {
    const sizes = [a, b].map(({ cells }) => cells.length);
    if (sizes.some((size) => size !== 1)) {
      refuse(
        'an export of AIPerf is one cell, and the other side has several',
        'name the export of one cell: FOLDER/aiperf/..json',
      );
    }
    return;
  }
  if (a.planHash !== b.planHash) {
    refuse(`their plans differ: ${differenceOf(a, b)}`, 'run the same scenario, with the same --set, on both');
  }
}

function differenceOf(a: Comparable, b: Comparable): string {
  if (a.cells.length !== b.cells.length) return `one has ${a.cells.length} cells, the other ${b.cells.length}`;
  for (const [i, cell] of a.cells.entries()) {
    const [x, y] = [cell.at, b.cells[i]?.at];
    if (!x || !y) continue;
    const axis = (Object.keys(x) as (keyof At)[]).find((one) => x[one] !== y[one]);
    if (axis !== undefined) return `${cell.key} has ${axis} ${x[axis]} in one, ${y[axis]} in the other`;
  }
  return 'in seeds, lengths of runs or what is sent';
}

function pairsOfCells(a: Comparable, b: Comparable): [ComparableCell, ComparableCell][] {
  if (a.planHash === null || b.planHash === null) return [[a.cells[0]!, b.cells[0]!]];
  return a.cells.flatMap((cell): [ComparableCell, ComparableCell][] => {
    const other = b.cells.find(({ key }) => key === cell.key);
    return other === undefined ? [] : [[cell, other]];
  });
}

function comparedCell(a: ComparableCell, b: ComparableCell): ComparedCell {
  const lost = ({ runs }: ComparableCell): [number, number] => [
    runs.reduce((sum, run) => sum + run.lost, 0),
    runs.reduce((sum, run) => sum + run.issued, 0),
  ];
  return {
    key: a.key ?? b.key ?? 'the cell',
    at: a.at ?? b.at,
    lost: { a: lost(a), b: lost(b) },
    figures: FIGURES.flatMap(([metric, stat]) => compared(metric, stat, a.runs, b.runs) ?? []),
  };
}

function compared(
  metric: string,
  stat: FigureStat,
  a: readonly ComparableRun[],
  b: readonly ComparableRun[],
): Compared | null {
  const key = figureKey(metric, stat);
  const of = (runs: readonly ComparableRun[]) =>
    runs.flatMap((run): (Figure & { run: ComparableRun })[] => {
      const figure = run.figures.get(key);
      return figure !== undefined && figure.value > 0 ? [{ ...figure, run }] : [];
    });
  const [xs, ys] = [of(a), of(b)];
  if (xs.length === 0 || ys.length === 0) return null;
  const logs = (figures: readonly Figure[]) => figures.map(({ value }) => Math.log(value));
  const [mx, my] = [moments(logs(xs)).mean, moments(logs(ys)).mean];
  const atLeast = [
    ...(xs.some((x) => x.atLeast) ? (['a'] as const) : []),
    ...(ys.some((y) => y.atLeast) ? (['b'] as const) : []),
  ];
  const base = { metric, stat, a: Math.exp(mx), b: Math.exp(my), runs: { a: xs.length, b: ys.length }, atLeast };
  const differences = pairedDifferences(xs, ys);
  // A figure that is only a bound has a ratio that is one too, and no interval.
  if (atLeast.length > 0) return { ...base, ratio: Math.exp(my - mx), interval: null, ground: 'none', detects: null };
  if (differences !== null) {
    const { count, mean, std } = moments(differences);
    return { ...base, ...around(mean, std / Math.sqrt(count), count - 1), ground: 'pairs' };
  }
  if (xs.length > 1 && ys.length > 1) return { ...base, ...welch(logs(xs), logs(ys)), ground: 'runs' };
  return { ...base, ...withinOne(xs[0]!, ys[0]!, xs.length + ys.length === 2, my - mx) };
}

/** Pairs that were measured one right after the other in one invocation; null where there are none. */
function pairedDifferences(
  xs: readonly (Figure & { run: ComparableRun })[],
  ys: readonly (Figure & { run: ComparableRun })[],
): number[] | null {
  const differences = xs.flatMap((x) => {
    const y = ys.find(({ run }) => run.pair !== null && run.pair === x.run.pair && run.session === x.run.session);
    return y === undefined ? [] : [Math.log(y.value / x.value)];
  });
  return differences.length > 1 ? differences : null;
}

type Ratio = Pick<Compared, 'ratio' | 'interval' | 'detects'>;

function around(mean: number, error: number, freedom: number): Ratio {
  const margin = studentQuantile(TAIL, freedom) * error;
  const detects = Math.expm1(margin + studentQuantile(MISS, freedom) * error);
  return { ratio: Math.exp(mean), interval: [Math.exp(mean - margin), Math.exp(mean + margin)], detects };
}

function welch(xs: readonly number[], ys: readonly number[]): Ratio {
  const [x, y] = [moments(xs), moments(ys)];
  const [vx, vy] = [x.std ** 2 / x.count, y.std ** 2 / y.count];
  const error = Math.sqrt(vx + vy);
  // Welch–Satterthwaite; of runs that are all alike, as few as there are.
  const freedom =
    error === 0 ? Math.min(x.count, y.count) - 1 : (vx + vy) ** 2 / (vx ** 2 / (x.count - 1) + vy ** 2 / (y.count - 1));
  return around(y.mean - x.mean, error, freedom);
}

function withinOne(x: Figure, y: Figure, alone: boolean, mean: number): Ratio & { ground: Ground } {
  const ratio = Math.exp(mean);
  if (!alone || x.within === null || y.within === null || !(x.within[0] > 0) || !(y.within[0] > 0)) {
    return { ratio, interval: null, detects: null, ground: 'none' };
  }
  const interval: [number, number] = [y.within[0] / x.within[1], y.within[1] / x.within[0]];
  return { ratio, interval, detects: null, ground: 'within one run' };
}

function notesOn(a: Comparable, b: Comparable, cells: readonly ComparedCell[]): string[] {
  const grounds = new Set(cells.flatMap(({ figures }) => figures.map(({ ground }) => ground)));
  const missing = [a, b].flatMap((side) =>
    side.cells.filter(({ runs }) => runs.length === 0).map(({ key }) => `${side.from} has no finished run of ${key}`),
  );
  return [
    ...(a.kind === 'aiperf' || b.kind === 'aiperf'
      ? [
          'AIPerf says nothing of a plan: that both carried the same load is for the reader to know. Its latencies are of all requests, ours of those since steady state began.',
        ]
      : []),
    ...(grounds.has('within one run')
      ? [
          'One run a side: the intervals are of the samples within it. How much runs of one server differ is not in them, so that a difference they show may still be chance: measure.repeats, or --compare, says more.',
        ]
      : []),
    ...(grounds.has('runs')
      ? [
          'The sides were measured at different times: what differs between sessions is in the ratios and not in the intervals. bench run --compare and bench gate interleave both.',
        ]
      : []),
    ...missing,
  ];
}
