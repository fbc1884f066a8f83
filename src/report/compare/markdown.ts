/** A comparison as Markdown, every figure. In: a Comparison. Out: text. */
import { markdownRow as line, markdownText as safe } from '../markdown-text.ts';
import type { Comparison } from './comparison.ts';
import { cellRows, cellTitle, HEADS, LEGEND, lostText, sidesLines, textsOf, WORDS } from './rows.ts';

export function comparisonMarkdown(comparison: Comparison): string {
  const cells = comparison.cells.flatMap((cell) => [
    '',
    `### ${safe(cellTitle(cell))}`,
    '',
    ...(lostText(cell) === '' ? [] : [safe(lostText(cell)), '']),
    line(HEADS),
    `|${HEADS.map((_, i) => (i < WORDS ? ' --- |' : ' ---: |')).join('')}`,
    ...cellRows(cell).map((row) => line(textsOf(row))),
  ]);
  return [
    '## Comparison',
    '',
    ...sidesLines(comparison).map((one) => `- ${safe(one)}`),
    '',
    LEGEND,
    ...cells,
    ...(comparison.notes.length === 0 ? [] : ['']),
    ...comparison.notes.map((note) => `- ${safe(note)}`),
    '',
  ].join('\n');
}
