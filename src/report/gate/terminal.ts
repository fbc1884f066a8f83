/** A gate's verdicts for the terminal: the outcome, a table, why, what it could have detected. In: verdict.json's content. Out: lines. */
import type { VerdictFile } from '../../gate/verdict-file.ts';
import { plainText, type SummaryOptions } from '../terminal.ts';
import { basis, capabilityLines, headline, type VerdictRow, verdictRows } from './rows.ts';

const HEADS: readonly { head: string; of: (row: VerdictRow) => string; spare: number }[] = [
  { head: '', of: ({ outcome }) => outcome, spare: 0 },
  { head: 'threshold', of: ({ threshold }) => threshold, spare: 0 },
  { head: 'cell', of: ({ line }) => line.cell, spare: 0 },
  { head: 'where', of: ({ where }) => where, spare: 3 },
  { head: 'reference', of: ({ reference }) => reference, spare: 2 },
  { head: 'candidate', of: ({ candidate }) => candidate, spare: 1 },
  { head: 'change', of: ({ change }) => change, spare: 0 },
  { head: 'pairs', of: ({ pairs }) => pairs, spare: 4 },
];
const GAP = '  ';
const CODES = { fail: 31, invalid: 33, 'no-data': 33, inconclusive: 33, pass: 32, 'report-only': 2 } as const;

export function verdictText(file: VerdictFile, { width, color }: SummaryOptions): string {
  const rows = verdictRows(file);
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const columns = fitting(rows, width);
  const table = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ of }) => plainText(of(row))))];
  const widths = columns.map((_, i) => Math.max(...table.map((line) => line[i]?.length ?? 0)));
  const lines = table.map((line) =>
    line
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
  const colour = file.exitCode === 0 ? 32 : file.exitCode === 1 ? 31 : 33;
  return [
    paint(colour, headline(file)),
    plainText(basis(file)),
    '',
    paint(2, lines[0] ?? ''),
    ...rows.map((row, i) => paint(CODES[row.line.outcome], lines[i + 1] ?? '')),
    ...section('why', file.reasons),
    ...section('what it could have detected', capabilityLines(file)),
    ...section('to know', file.warnings),
  ].join('\n');
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0
    ? []
    : ['', ...lines.map((line, i) => `${i === 0 ? `${title}: ` : `${' '.repeat(title.length)}  `}${plainText(line)}`)];

/** Columns that matter least go first where the terminal is narrow. */
function fitting(rows: readonly VerdictRow[], width: number): typeof HEADS {
  let kept = HEADS;
  const wide = () =>
    kept.reduce((sum, { head, of }) => sum + Math.max(head.length, ...rows.map((row) => of(row).length)), 0) +
    GAP.length * (kept.length - 1);
  while (wide() > width) {
    const worst = Math.max(...kept.map(({ spare }) => spare));
    if (worst === 0) break;
    kept = kept.filter(({ spare }) => spare !== worst);
  }
  return kept;
}
