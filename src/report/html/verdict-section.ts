/** A gate's verdict at the top of its report: the outcome, why, every threshold. In: verdict.json's content. Out: markup. */
import type { VerdictFile } from '../../gate/verdict-file.ts';
import { basis, capabilityLines, headline, verdictRows } from '../gate/rows.ts';
import { html, type Markup } from './markup.ts';
import { tableMarkup } from './sections.ts';

export function verdictSection(file: VerdictFile): Markup {
  const level = file.exitCode === 0 ? 'good' : file.exitCode === 1 ? 'bad' : 'care';
  const mark = file.exitCode === 0 ? '✓' : file.exitCode === 1 ? '✕' : '!';
  const rows = verdictRows(file);
  const table = {
    columns: ['threshold', '', 'where', 'reference', 'candidate', 'change', 'pairs'],
    rows: rows.map((row) => [
      row.threshold,
      row.outcome,
      `${row.line.cell}: ${row.where}`,
      row.reference,
      row.candidate,
      row.change,
      row.pairs,
    ]),
  };
  const fold = (title: string, lines: readonly string[]): Markup | null =>
    lines.length === 0
      ? null
      : html`<details><summary>${title}</summary><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></details>`;
  const reasons = rows.map(
    ({ outcome, threshold, line, reason }) => `${outcome}: ${threshold} in ${line.cell}: ${reason}`,
  );
  return html`<section id="verdict" aria-label="The verdict"><div class="notice ${level}"><span class="mark" aria-hidden="true">${mark}</span><div><h2>Gate ${headline(file)}</h2>
<p>${basis(file)}. An unchanged candidate fails with ${Number((100 * file.alpha).toPrecision(2))}% probability at most.</p>
${file.reasons.length > 0 ? html`<ul>${file.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>` : null}</div></div>
${tableMarkup(table, 'Every threshold')}
${fold('Every verdict in words', reasons)}
${fold('What this gate could have detected', capabilityLines(file))}
</section>`;
}
