/** A comparison for the terminal: the figures that decide, and the notes. In: a Comparison. Out: text. The files have every figure. */
import { plainText, type SummaryOptions, wrapped } from '../terminal.ts';
import type { Comparison } from './comparison.ts';
import { type ComparedRow, cellRows, cellTitle, HEADS, LEGEND, lostText, sidesLines, textsOf, WORDS } from './rows.ts';

/** Figures that a screen has room for; the rates over the whole run where there are no others. */
const SHOWN = /^(TTFT|TPOT|E2E) (p50|p99|p99\.9)$|^output tokens\/s$|^goodput$/;
const OF_WHOLE_RUNS = /^output tokens\/s, whole run$/;

export function comparisonText(comparison: Comparison, { color, width }: SummaryOptions): string {
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const cells = comparison.cells.map((cell) => ({
    title: cellTitle(cell),
    lost: lostText(cell),
    rows: shownOf(cellRows(cell)),
  }));
  const texts = [[...HEADS], ...cells.flatMap(({ rows }) => rows.map(textsOf))];
  const widths = HEADS.map((_, i) => Math.max(...texts.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => (i < WORDS ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  const body = cells.flatMap(({ title, lost, rows }) => [
    '',
    paint(1, plainText(title)),
    ...(lost === '' ? [] : [paint(31, lost)]),
    ...rows.map((row) => paint(row.clear === null ? 0 : row.clear === 'worse' ? 31 : 32, line(textsOf(row)))),
  ]);
  return [
    ...sidesLines(comparison).map(plainText),
    ...wrapped(LEGEND, width),
    '',
    paint(2, line(HEADS)),
    ...body,
    ...(comparison.notes.length === 0 ? [] : ['']),
    ...comparison.notes.flatMap((note) => wrapped(plainText(note), width)),
  ].join('\n');
}

function shownOf(rows: readonly ComparedRow[]): ComparedRow[] {
  const shown = rows.filter(({ figure }) => SHOWN.test(figure));
  const hasRate = shown.some(({ figure }) => figure === 'output tokens/s');
  return hasRate ? shown : [...shown, ...rows.filter(({ figure }) => OF_WHOLE_RUNS.test(figure))];
}
