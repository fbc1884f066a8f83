/** A comparison for the terminal: the figures that decide, and the notes. In: a Comparison. Out: text. The files have every figure. */
import { plainText, type SummaryOptions } from '../terminal.ts';
import type { Comparison } from './comparison.ts';
import { cellRows, cellTitle, HEADS, lostText, sidesLines, textsOf } from './rows.ts';

/** Figures that a screen has room for. */
const SHOWN = /^(TTFT|TPOT|E2E) (p50|p99|p99\.9)$|tokens\/s/;

export function comparisonText(comparison: Comparison, { color }: SummaryOptions): string {
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const cells = comparison.cells.map((cell) => ({
    title: cellTitle(cell),
    lost: lostText(cell),
    rows: cellRows(cell).filter(({ figure }) => SHOWN.test(figure)),
  }));
  const texts = [[...HEADS], ...cells.flatMap(({ rows }) => rows.map(textsOf))];
  const widths = HEADS.map((_, i) => Math.max(...texts.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => (i < 2 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
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
    '',
    paint(2, line(HEADS)),
    ...body,
    ...(comparison.notes.length === 0 ? [] : ['']),
    ...comparison.notes.map(plainText),
  ].join('\n');
}
