/**
 * summary.md: a gate's outcome as a comment on a pull request, or a job's summary. In: verdict.json's content. Out: Markdown of less
 * than 64 KB, which is what a comment may have; its first line is a marker that no reader sees, by which a workflow finds the
 * comment it wrote before and updates it.
 */
import type { VerdictFile } from '../../gate/verdict-file.ts';
import { markdownRow as line, markdownText as safe } from '../markdown-text.ts';
import { basis, capabilityLines, headline, type VerdictRow, verdictRows } from './rows.ts';

const MOST_BYTES = 60_000;
const MARKS = { fail: '❌', invalid: '⚠️', 'no-data': '⚠️', inconclusive: '❔', pass: '✅', 'report-only': 'ℹ️' } as const;

export const markerOf = (name: string): string => `<!-- lorabench gate ${name} -->`;

export function summaryMarkdown(file: VerdictFile): string {
  const rows = verdictRows(file);
  for (let shown = rows.length; ; shown = Math.floor(shown / 2)) {
    const text = markdown(file, rows.slice(0, shown), rows.length - shown);
    if (Buffer.byteLength(text) <= MOST_BYTES || shown === 0) return text;
  }
}

function markdown(file: VerdictFile, rows: readonly VerdictRow[], left: number): string {
  const mark = file.exitCode === 0 ? '✅' : file.exitCode === 1 ? '❌' : '⚠️';
  const table = rows.map((row) =>
    line([
      `${MARKS[row.line.outcome]} ${row.outcome}`,
      row.threshold,
      row.where,
      row.reference,
      row.candidate,
      row.change,
      row.pairs,
    ]),
  );
  const list = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', `**${title}**`, '', ...lines.map((one) => `- ${safe(one)}`)];
  const fold = (title: string, lines: readonly string[]) =>
    lines.length === 0
      ? []
      : ['', `<details><summary>${title}</summary>`, '', ...lines.map((one) => `- ${safe(one)}`), '', '</details>'];
  return [
    markerOf(file.scenario.name),
    `### ${mark} ${safe(file.scenario.name)}: ${safe(headline(file))}`,
    '',
    safe(basis(file)),
    '',
    line(['', 'threshold', 'where', 'reference', 'candidate', 'change', 'pairs']),
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...table,
    ...(left > 0 ? ['', `${left} more are in verdict.json.`] : []),
    ...list('Why', file.reasons.slice(0, 20)),
    ...fold('What it could have detected', capabilityLines(file).slice(0, 50)),
    ...fold('To know', file.warnings.slice(0, 50)),
    '',
  ].join('\n');
}
