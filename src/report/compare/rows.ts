/** A comparison as it is read: one row a figure, in words. In: a Comparison. Out: texts, for the terminal, Markdown and HTML alike. */
import type { At } from '../../plan/plan.ts';
import { changeText, figure, NONE, plural } from '../numbers.ts';
import { adaptersText, loadText } from '../panels.ts';
import type { ComparedCell, Comparison } from './comparison.ts';
import { type Compared, saysNothing } from './ratio.ts';

export interface ComparedRow {
  figure: string;
  unit: string;
  a: string;
  b: string;
  change: string;
  interval: string;
  /** What B is by that figure, where the interval leaves out "no change"; null where it does not. */
  clear: 'better' | 'worse' | null;
  detects: string;
}

export const HEADS = ['figure', 'unit', 'A', 'B', 'change', '95 % interval', 'B is', 'would have seen'] as const;
/** How many of them are words, which begin on the left. */
export const WORDS = 2;
export const LEGEND =
  'Changes are of B against A: of a latency more is worse, of a rate less. "Would have seen": what four of five such comparisons show.';

const LOWER_IS_BETTER = ['ttft', 'tpot', 'itl', 'e2e'];
const NAMES: Readonly<Record<string, string>> = {
  ttft: 'TTFT',
  tpot: 'TPOT',
  itl: 'ITL',
  e2e: 'E2E',
  output_tokens_per_second: 'output tokens/s',
  output_tokens_per_second_whole_run: 'output tokens/s, whole run',
  requests_per_second: 'requests/s',
  requests_per_second_whole_run: 'requests/s, whole run',
  goodput: 'goodput',
};
const STAT_NAMES: Readonly<Record<string, string>> = { p999: 'p99.9', value: '' };

export function rowOf(compared: Compared): ComparedRow {
  const { metric, stat, a, b, ratio, interval, detects, atLeast } = compared;
  const lower = LOWER_IS_BETTER.includes(metric);
  const text = (value: number, side: 'a' | 'b') => `${atLeast.includes(side) ? '> ' : ''}${figure(value)}`;
  const outside = interval !== null && (interval[0] > 1 || interval[1] < 1);
  return {
    figure: `${NAMES[metric] ?? metric} ${STAT_NAMES[stat] ?? stat}`.trim(),
    unit: lower ? 'ms' : '/s',
    a: text(a, 'a'),
    b: text(b, 'b'),
    change: changeIn(ratio, atLeast),
    interval: interval === null ? '' : intervalText(interval),
    clear: !outside || ratio === null ? null : ratio > 1 === lower ? 'worse' : 'better',
    detects:
      detects === null || saysNothing(interval) ? '' : `${changeText(1 + detects)} or ${changeText(1 / (1 + detects))}`,
  };
}

const intervalText = (interval: [number, number]): string =>
  saysNothing(interval) ? 'too wide to tell' : `${changeText(interval[0])} to ${changeText(interval[1])}`;

/** Of a figure that is only known to be at least so high, the change is a bound too. */
function changeIn(ratio: number | null, atLeast: Compared['atLeast']): string {
  if (ratio === null) return NONE;
  return `${atLeast.length === 0 ? '' : atLeast.includes('b') ? '> ' : '< '}${changeText(ratio)}`;
}

/** "c2: 2 adapters of rank 16, concurrency 4 (4 pairs of runs)". */
export function cellTitle({ key, at, figures }: ComparedCell): string {
  const place = at === null ? '' : placeOf(at);
  const basis = basisOf(figures);
  return `${key}${place === '' ? '' : `: ${place}`}${basis === '' ? '' : ` (${basis})`}`;
}

function placeOf({ adapters, rank, concurrency, rate }: Partial<At>): string {
  const served =
    adapters === undefined
      ? []
      : [`${adaptersText(adapters)}${typeof rank === 'number' || typeof rank === 'string' ? ` of rank ${rank}` : ''}`];
  const load =
    typeof concurrency === 'number'
      ? [loadText('concurrency', concurrency)]
      : typeof rate === 'number'
        ? [loadText('rate', rate)]
        : [];
  return [...served, ...load].join(', ');
}

/** What its intervals are made of, as most figures have it. */
function basisOf(figures: readonly Compared[]): string {
  const [first] = figures;
  if (first === undefined) return 'no figure in common';
  const { replicates, ground } = figures.find((one) => one.ground !== 'none') ?? first;
  if (ground === 'pairs') return `${plural(replicates.a, 'pair')} of runs`;
  return `${plural(replicates.a, ground === 'sessions' ? 'session' : 'run')} of A, ${replicates.b} of B`;
}

/** "3 of 480 requests failed on A, 0 of 480 on B"; empty where none did. */
export function lostText({ lost: { a, b } }: ComparedCell): string {
  if (a[0] === 0 && b[0] === 0) return '';
  return `${a[0]} of ${a[1]} requests did not succeed on A, ${b[0]} of ${b[1]} on B`;
}

export const sidesLines = ({ a, b }: Comparison): string[] => [
  `A  ${a.from}${a.model === null ? '' : `, model ${a.model}`}`,
  `B  ${b.from}${b.model === null ? '' : `, model ${b.model}`}`,
  ...(a.standIn === null
    ? []
    : [`Both are stand-ins (${a.standIn}): what differs here need not differ so on the model itself.`]),
];

export const cellRows = ({ figures }: ComparedCell): ComparedRow[] => figures.map(rowOf);

export const textsOf = (row: ComparedRow): string[] => [
  row.figure,
  row.unit,
  row.a,
  row.b,
  row.change,
  row.interval,
  row.clear ?? '',
  row.detects,
];
