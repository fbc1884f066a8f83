/** What the reader of a comparison must know beside its figures. In: both sides and what was compared. Out: sentences. */
import type { Comparable } from '../../result/comparable.ts';
import type { ComparedCell } from './comparison.ts';
import type { Compared } from './ratio.ts';

/** Reasons that are told of one side. */
const TOLD = 3;
/** Of intervals that leave out "no change", so many do by chance. */
const BY_CHANCE = 0.05;
/** From so many figures with an interval on, that is worth a word. */
const MANY = 10;

export function notesOn(a: Comparable, b: Comparable, cells: readonly ComparedCell[]): string[] {
  const figures = cells.flatMap((cell) => cell.figures);
  const grounds = new Set(figures.map(({ ground }) => ground));
  const sides = [
    ['A', a],
    ['B', b],
  ] as const;
  return [
    ...sides.flatMap(([name, side]) => [...unfinishedIn(name, side), ...doubtsOf(name, side)]),
    ...lacking(figures),
    ...(a.kind === 'aiperf' || b.kind === 'aiperf'
      ? [
          'AIPerf says little of a plan: that both carried the same load is for the reader to know. All figures are by its definitions: times count from the actual send, and are of requests that succeeded; its own are of all of those, ours of those since steady state began.',
        ]
      : []),
    ...(grounds.has('within one run')
      ? [
          'One run a side: the intervals are of the samples within it. How much runs of one server differ is not in them, so a difference they show may still be chance: measure.repeats, or --compare, says more.',
        ]
      : []),
    ...(grounds.has('runs')
      ? [
          'The sides were measured at different times: what differs between sessions is in the ratios and not in the intervals. bench run --compare and bench gate interleave both; several sessions a side show it.',
        ]
      : []),
    ...byChance(figures),
  ];
}

function unfinishedIn(name: string, { cells }: Comparable): string[] {
  return cells.flatMap(({ key, runs, unfinished }) => {
    const cell = key === null ? '' : ` of ${key}`;
    if (runs.length === 0) return [`${name} has no finished run${cell}.`];
    return unfinished === 0
      ? []
      : [`${name}: ${unfinished} of ${runs.length + unfinished} runs${cell} did not finish, and are left out.`];
  });
}

function doubtsOf(name: string, { cells }: Comparable): string[] {
  const runs = cells.flatMap((cell) => cell.runs);
  const counts = new Map<string, number>();
  for (const doubt of runs.flatMap(({ doubts }) => doubts)) counts.set(doubt, (counts.get(doubt) ?? 0) + 1);
  const most = [...counts].sort((x, y) => y[1] - x[1]);
  const told = most.slice(0, TOLD).map(([doubt, count]) => `${doubt} (${count} of ${runs.length} runs)`);
  const more = most.length > TOLD ? [`${most.length - TOLD} more`] : [];
  return told.length === 0 ? [] : [`${name} is in doubt: ${[...told, ...more].join('; ')}.`];
}

/** A figure that some runs lack is of the others only. */
function lacking(figures: readonly Compared[]): string[] {
  const most = {
    a: Math.max(0, ...figures.map(({ runs }) => runs.a)),
    b: Math.max(0, ...figures.map(({ runs }) => runs.b)),
  };
  const few = figures.filter(({ runs }) => runs.a < most.a || runs.b < most.b);
  if (few.length === 0) return [];
  return [`Not every run has every figure: ${[...new Set(few.map(({ metric }) => metric))].join(', ')}.`];
}

function byChance(figures: readonly Compared[]): string[] {
  const many = figures.filter(({ ground }) => ground !== 'none' && ground !== 'within one run').length;
  if (many < MANY) return [];
  return [
    `Nothing is judged here: of ${many} such intervals, ${Math.round(many * BY_CHANCE)} or so leave out "no change" by chance alone. bench gate decides, by thresholds named before.`,
  ];
}
