/** A comparison as it is read: one row a figure, in words. In: a Comparison. Out: texts, for the terminal, Markdown and HTML alike. */
import { changeText as percent } from '../../gate/words.ts';
import type { At } from '../../plan/plan.ts';
import { figure } from '../numbers.ts';
import { adaptersText, loadKindOf, loadOf, loadText } from '../panels.ts';
import type { Compared, ComparedCell, Comparison } from './comparison.ts';

export interface ComparedRow {
  figure: string;
  unit: string;
  a: string;
  b: string;
  change: string;
  interval: string;
  detects: string;
  /** The interval leaves out "no change": by what it says, better or worse; null where it does not. */
  clear: 'better' | 'worse' | null;
}

export const HEADS = ['figure', 'unit', 'A', 'B', 'change', '95 % interval', 'would have seen'] as const;

const LOWER_IS_BETTER = ['ttft', 'tpot', 'itl', 'e2e'];
const NAMES: Readonly<Record<string, string>> = {
  ttft: 'TTFT',
  tpot: 'TPOT',
  itl: 'ITL',
  e2e: 'E2E',
  output_tokens_per_second: 'output tokens/s',
  output_tokens_per_second_whole_run: 'output tokens/s, whole run',
  requests_per_second: 'requests/s',
  goodput: 'goodput',
};
const STAT_NAMES: Readonly<Record<string, string>> = { p999: 'p99.9', value: '' };

export function rowOf(compared: Compared): ComparedRow {
  const { metric, stat, a, b, ratio, interval, detects, ground, atLeast } = compared;
  const lower = LOWER_IS_BETTER.includes(metric);
  const text = (value: number | null, side: 'a' | 'b') =>
    value === null ? '–' : `${atLeast.includes(side) ? '> ' : ''}${figure(value)}`;
  const outside = interval !== null && ground !== 'none' && (interval[0] > 1 || interval[1] < 1);
  return {
    figure: `${NAMES[metric] ?? metric} ${STAT_NAMES[stat] ?? stat}`.trim(),
    unit: lower ? 'ms' : '/s',
    a: text(a, 'a'),
    b: text(b, 'b'),
    change: ratio === null ? '–' : percent(ratio - 1),
    interval: interval === null ? '' : `${percent(interval[0] - 1)} to ${percent(interval[1] - 1)}`,
    detects: detects === null ? '' : `±${percent(detects).slice(1)}`,
    clear: !outside || ratio === null ? null : ratio > 1 === lower ? 'worse' : 'better',
  };
}

export const cellTitle = ({ key, at }: ComparedCell): string => (at === null ? key : `${key}: ${placeOf(at)}`);

const placeOf = (at: At): string =>
  `${adaptersText(at.adapters)}${at.rank === null ? '' : ` of rank ${at.rank}`}, ${loadText(loadKindOf(at), loadOf(at))}`;

/** "3 of 480 requests failed on A, 0 of 480 on B"; empty where none did. */
export function lostText({ lost: { a, b } }: ComparedCell): string {
  if (a[0] === 0 && b[0] === 0) return '';
  return `${a[0]} of ${a[1]} requests did not succeed on A, ${b[0]} of ${b[1]} on B`;
}

export const sidesLines = ({ a, b }: Comparison): string[] => [
  `A  ${a.from}${a.model === null ? '' : `: ${a.model}`}`,
  `B  ${b.from}${b.model === null ? '' : `: ${b.model}`}`,
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
  row.detects,
];
