/**
 * One figure on two sides: their ratio, how well it is known, and the change that would have been seen. In: that figure of the
 * runs of either side. Out: Compared; null where a side does not have it.
 *
 * All is done on logarithms, on which a ratio is a difference (stats/two-means.ts), by what the sides let stand for one replicate:
 *   pairs           of one invocation, interleaved: Student's t on the logarithms of their ratios
 *   sessions        where a side has several: each its runs' mean, since the runs of one session are alike
 *   runs            of one session a side
 *   within one run  one a side: the 99% intervals within them, put together so that they can only be too wide
 * Intervals are of 95%.
 */
import type { ComparableRun } from '../../result/comparable.ts';
import { type Figure, type FigureStat, figureKey } from '../../result/figures.ts';
import { moments } from '../../stats/moments.ts';
import {
  type Difference,
  detectableDifference,
  differenceOfMeans,
  intervalOf,
  pairedDifference,
} from '../../stats/two-means.ts';

const LEVEL = 0.05;
const POWER = 0.8;

export type Ground = 'pairs' | 'sessions' | 'runs' | 'within one run' | 'none';

export interface Compared {
  metric: string;
  stat: FigureStat;
  /** Means over the replicates; geometric, as their ratio is. */
  a: number;
  b: number;
  /** b / a; null where neither is known better than to be at least so high, or a is 0. */
  ratio: number | null;
  interval: [number, number] | null;
  ground: Ground;
  runs: { a: number; b: number };
  /** What its interval is made of: runs, sessions, or (as many on either side) pairs. */
  replicates: { a: number; b: number };
  /** An increase so large would have been seen in four of five such comparisons: 0.08 is 8%. null where that is not known. */
  detects: number | null;
  /** Of which side the figure is only known to be at least so high. */
  atLeast: ('a' | 'b')[];
}

/** Ends of an interval further apart than that, one over the other, say nothing. */
const SAYS_NOTHING = 100;

/** Its ends are so far apart that it hides what the others say. */
export const saysNothing = (interval: Compared['interval']): boolean =>
  interval !== null && interval[1] > SAYS_NOTHING * interval[0];

type Known = Figure & { run: ComparableRun };
type Ratio = Omit<Compared, 'metric' | 'stat' | 'runs' | 'atLeast'>;
const UNSURE = { interval: null, detects: null, ground: 'none' } as const;

export function compared(
  metric: string,
  stat: FigureStat,
  a: readonly ComparableRun[],
  b: readonly ComparableRun[],
): Compared | null {
  const key = figureKey(metric, stat);
  const of = (runs: readonly ComparableRun[]): Known[] =>
    runs.flatMap((run) => {
      const figure = run.figures.get(key);
      return figure === undefined ? [] : [{ ...figure, run }];
    });
  const [xs, ys] = [of(a), of(b)];
  if (xs.length === 0 || ys.length === 0) return null;
  const atLeast = [
    ...(xs.some((x) => x.atLeast) ? (['a'] as const) : []),
    ...(ys.some((y) => y.atLeast) ? (['b'] as const) : []),
  ];
  return { metric, stat, runs: { a: xs.length, b: ys.length }, atLeast, ...ratioOf(xs, ys, atLeast) };
}

function ratioOf(xs: readonly Known[], ys: readonly Known[], atLeast: Compared['atLeast']): Ratio {
  // 0, such as a goodput of nothing, has no logarithm, and must not be left out.
  if ([...xs, ...ys].some(({ value }) => !(value > 0))) {
    const [a, b] = [moments(xs.map(({ value }) => value)).mean, moments(ys.map(({ value }) => value)).mean];
    return { a, b, replicates: { a: xs.length, b: ys.length }, ratio: a > 0 ? b / a : null, ...UNSURE };
  }
  const pairs = pairsIn(xs, ys);
  const [left, right] =
    pairs.length > 1 ? [pairs.map(([x]) => x), pairs.map(([, y]) => y)] : [replicates(xs, ys), replicates(ys, xs)];
  const means = {
    a: Math.exp(moments(left).mean),
    b: Math.exp(moments(right).mean),
    replicates: { a: left.length, b: right.length },
  };
  const ratio = means.b / means.a;
  // Where a figure is only a bound its ratio is one too, and has no interval.
  if (atLeast.length > 0) return { ...means, ratio: atLeast.length === 2 ? null : ratio, ...UNSURE };
  if (pairs.length > 1) return { ...means, ...around(pairedDifference(pairs.map(([x, y]) => y - x))), ground: 'pairs' };
  if (left.length + right.length > 2) {
    const ground = severalSessions(xs) || severalSessions(ys) ? 'sessions' : 'runs';
    return { ...means, ...around(differenceOfMeans(left, right)), ground };
  }
  return { ...means, ratio, ...withinOne(xs, ys) };
}

/** Logarithms of those that were measured one right after the other in one invocation. */
function pairsIn(xs: readonly Known[], ys: readonly Known[]): [number, number][] {
  return xs.flatMap((x): [number, number][] => {
    const y = ys.find(({ run }) => run.pair !== null && run.pair === x.run.pair && run.session === x.run.session);
    return y === undefined ? [] : [[Math.log(x.value), Math.log(y.value)]];
  });
}

/** Logarithms of `own`: one a session where either side has several, else one a run. */
function replicates(own: readonly Known[], other: readonly Known[]): number[] {
  const logs = (of: readonly Known[]) => of.map(({ value }) => Math.log(value));
  if (!severalSessions(own) && !severalSessions(other)) return logs(own);
  return sessionsOf(own).map((session) => moments(logs(own.filter(({ run }) => run.session === session))).mean);
}

const sessionsOf = (runs: readonly Known[]): string[] => [...new Set(runs.map(({ run }) => run.session))];
const severalSessions = (runs: readonly Known[]): boolean => sessionsOf(runs).length > 1;

function around(difference: Difference): Pick<Compared, 'ratio' | 'interval' | 'detects'> {
  const [low, high] = intervalOf(difference, LEVEL);
  const detects = detectableDifference(difference, { level: LEVEL, power: POWER });
  const interval: [number, number] = [Math.exp(low), Math.exp(high)];
  return {
    ratio: Math.exp(difference.mean),
    // Two replicates that are orders of magnitude apart know nothing, and JSON has no word for it.
    interval: Number.isFinite(interval[1]) ? interval : null,
    detects: detects === null || !Number.isFinite(Math.expm1(detects)) ? null : Math.expm1(detects),
  };
}

function withinOne([x]: readonly Known[], [y]: readonly Known[]): Pick<Compared, 'interval' | 'detects' | 'ground'> {
  const [a, b] = [x?.within ?? null, y?.within ?? null];
  if (a === null || b === null || !(a[0] > 0) || !(b[0] > 0)) return UNSURE;
  return { interval: [b[0] / a[1], b[1] / a[0]], detects: null, ground: 'within one run' };
}
