/**
 * The answer of a comparison: B held against A where it matters most, at the busiest load with the most adapters, and at every other
 * cell. A result with two targets and its panels in, cards out. The mathematics is that of `bench compare`.
 */
import { comparableRun } from '../result/comparable.ts';
import type { FigureStat } from '../result/figures.ts';
import type { CellResult, Result } from '../result/schema.ts';
import type { Card } from './answer.ts';
import { type Compared, compared, saysNothing } from './compare/ratio.ts';
import { costIntervalText, costOf, costText } from './costs.ts';
import { METRIC_NAMES, type NamedMetric } from './metric-names.ts';
import { changeText, NONE, ratioText } from './numbers.ts';
import { adaptersText, loadOf, loadText, type Panel } from './panels.ts';
import { isComparable } from './values.ts';

interface Pair {
  panel: Panel;
  a: CellResult;
  b: CellResult;
}

const KINDS: readonly { metric: NamedMetric; stat: FigureStat; more: string; less: string }[] = [
  { metric: 'tpot', stat: 'p50', more: 'slower', less: 'faster' },
  { metric: 'ttft', stat: 'p50', more: 'slower', less: 'faster' },
  { metric: 'output_tokens_per_second', stat: 'value', more: 'more', less: 'less' },
];

const ROWS = 6;

export function againstA(result: Result, panels: readonly Panel[]): Card[] {
  const pairs = panels.flatMap(pairsIn);
  const main = pairs.at(-1);
  if (main === undefined) return [];
  const cards = KINDS.flatMap((kind): Card[] => {
    const of = (pair: Pair, stat = kind.stat): Compared | null =>
      compared(
        kind.metric,
        stat,
        pair.a.runs.filter(({ state }) => state === 'done').map((run) => comparableRun(run, result.session)),
        pair.b.runs.filter(({ state }) => state === 'done').map((run) => comparableRun(run, result.session)),
      );
    const headline = of(main);
    if (headline === null) return [];
    const tail = kind.stat === 'p50' ? of(main, 'p99') : null;
    const name =
      kind.stat === 'value' ? METRIC_NAMES[kind.metric].long : `${METRIC_NAMES[kind.metric].short} ${kind.stat}`;
    return [
      {
        title: `${name}, B against A`,
        headline: ratioOf(headline),
        interval: intervalOf(headline),
        caption: `${verdict(headline, kind)} at ${placeOf(main)}${tail === null ? '' : `; p99 ${ratioOf(tail)}`}`,
        columns: [cellColumn(main), 'B / A', '95 %'],
        rows: last(pairs).map((pair) => {
          const one = of(pair);
          return [shortPlaceOf(pair), one === null ? NONE : ratioOf(one), one === null ? NONE : endsOf(one) || NONE];
        }),
      },
    ];
  });
  return [...cards, ...costCard(pairs)].slice(0, 4);
}

/** Cells that both ran, the most telling last: by adapters, then by load. */
function pairsIn(panel: Panel): Pair[] {
  const ofB = panel.series.filter(({ arm }) => arm === 'B').flatMap(({ cells }) => cells);
  return panel.series
    .filter(({ arm }) => arm === 'A')
    .flatMap(({ cells }) => cells)
    .flatMap((a): Pair[] => {
      const b = ofB.find(({ id }) => id === a.id);
      return b === undefined || !isComparable(a) || !isComparable(b) ? [] : [{ panel, a, b }];
    });
}

const last = (pairs: readonly Pair[]): Pair[] => pairs.slice(-ROWS);

const placeOf = ({ panel, a }: Pair): string =>
  `${adaptersText(a.at.adapters)}, ${loadText(panel.loadKind, loadOf(a.at))}`;

/** For narrow tables: "8 × 4" is 8 adapters with 4 requests at a time. */
const shortPlaceOf = ({ panel, a }: Pair): string => {
  const adapters = a.at.adapters === 0 ? 'base' : String(a.at.adapters);
  return panel.loadKind === 'concurrency' ? `${adapters} × ${loadOf(a.at)}` : `${adapters}, ${loadOf(a.at)}/s`;
};

const cellColumn = ({ panel }: Pair): string =>
  panel.loadKind === 'concurrency' ? 'adapters × load' : 'adapters, load';

function ratioOf({ ratio, atLeast }: Compared): string {
  if (ratio === null) return NONE;
  return `${atLeast.includes('b') ? '> ' : atLeast.includes('a') ? '< ' : ''}${ratioText(ratio)}`;
}

const endsOf = ({ interval }: Compared): string =>
  interval === null || saysNothing(interval)
    ? ''
    : `${ratioText(interval[0]).replace('×', '')} to ${ratioText(interval[1])}`;

function intervalOf(one: Compared): string {
  const ends = endsOf(one);
  if (ends === '') return '';
  const by = one.ground === 'pairs' ? `${one.replicates.a} pairs of runs` : one.ground;
  return `${ends}: 95 % interval, ${by}`;
}

/** Words only for what the interval shows. */
function verdict({ ratio, interval }: Compared, { more, less }: (typeof KINDS)[number]): string {
  if (ratio === null) return 'not known';
  if (interval === null) return changeText(ratio);
  if (interval[0] <= 1 && interval[1] >= 1) return 'no difference that these runs could show,';
  return `B is ${changeText(ratio).replace(/^[+−]/, '')} ${ratio > 1 ? more : less}`;
}

/** What adapters cost on either, by their own base model. */
function costCard(pairs: readonly Pair[]): Card[] {
  const withAdapters = pairs.filter(({ a }) => a.at.adapters > 0);
  const main = withAdapters.at(-1);
  if (main === undefined) return [];
  const costs = ({ panel, a, b }: Pair) => [costOf(panel, a, 'tpot', 'p50'), costOf(panel, b, 'tpot', 'p50')] as const;
  const [onA, onB] = costs(main);
  if (onA.ratio === null && onB.ratio === null) return [];
  return [
    {
      title: 'Cost of adapters on A and on B',
      headline: `${costText(onA)} / ${costText(onB)}`,
      interval: [costIntervalText(onA), costIntervalText(onB)].filter((text) => text !== '').join(' / '),
      caption: `TPOT p50 over the own base model, at ${placeOf(main)}`,
      columns: [cellColumn(main), 'on A', 'on B'],
      rows: last(withAdapters).map((pair) => [shortPlaceOf(pair), ...costs(pair).map(costText)]),
    },
  ];
}
