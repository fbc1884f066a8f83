/**
 * The report's reference part: every cell in one table, what the words mean, the scenario as it was run, and where.
 *
 * A result in, markup out.
 */
import { stringify } from 'yaml';
import { METRICS } from '../../metrics/registry.ts';
import type { Result } from '../../result/schema.ts';
import { cellsTable } from '../cells-table.ts';
import { clientWords } from '../client-words.ts';
import { datePhrase, machinePhrase, targetPhrase } from '../words.ts';
import { anchorOf } from './chart-sections.ts';
import { html, type Markup } from './markup.ts';

export function cellsSection(result: Result): Markup {
  const table = cellsTable(result);
  const flat = [...table.coordinates, ...table.counts];
  return html`<section id="cells"><h2>Every cell</h2>
<p class="lead">Times in milliseconds. Point at a figure for its range over runs, or for why it is missing. “&gt;” marks a percentile that falls among failed requests; † a run that was cut short.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Every cell"><table class="cells"><caption class="unseen">Figures of every cell</caption>
<thead><tr><th scope="col" rowspan="2">cell</th>${flat.map((title) => html`<th scope="col" rowspan="2">${title}</th>`)}${table.groups.map((group) => html`<th scope="colgroup" colspan="${group.columns.length}" class="first">${group.title} <small>${group.unit}</small></th>`)}<th scope="col" rowspan="2">state</th></tr>
<tr>${table.groups.map((group) => group.columns.map((column, i) => html`<th scope="col"${i === 0 ? html` class="first"` : null}>${column}</th>`))}</tr></thead>
<tbody>
${table.rows.map(
  (
    row,
  ) => html`<tr><th scope="row"><a href="#${anchorOf(row.cell)}">${row.cell.id}</a></th>${row.coordinates.map((text) => html`<td>${text}</td>`)}${row.counts.map((text) => html`<td>${text}</td>`)}${row.figures.map((group) => group.map((figure, i) => html`<td title="${figure.title}"${i === 0 ? html` class="first"` : null}>${figure.text}</td>`))}<td>${row.state}</td></tr>
`,
)}</tbody></table></div></section>`;
}

/** Shown nowhere else on the page, or needed to read it. */
export function glossarySection(): Markup {
  return html`<section id="words"><h2>What the figures mean</h2><dl class="glossary">${METRICS.map(
    (metric) => html`<div><dt>${metric.title} <code>${metric.name}</code></dt><dd>${metric.description}</dd></div>`,
  )}</dl>
<p class="lead">Percentiles are by nearest rank, over all requests of a run: one that failed counts as slower than any that did not. A cell’s figure is the mean over its runs.</p></section>`;
}

function facts(value: Record<string, unknown>): Markup {
  return html`<dl class="environment">${Object.entries(value).map(
    ([name, fact]) =>
      html`<div><dt>${name}</dt><dd>${typeof fact === 'object' && fact !== null ? html`<code>${JSON.stringify(fact)}</code>` : String(fact)}</dd></div>`,
  )}</dl>`;
}

export function environmentSection(result: Result): Markup {
  const { tool, machine } = result;
  const gpu = machine.gpu;
  const client = clientWords(result);
  return html`<section id="environment"><h2>Where and how it was measured</h2>
${facts({
  tool: `${tool.name} ${tool.version}${tool.commit === null ? '' : ` (${tool.commit})`}`,
  session: result.session,
  date: datePhrase(result.createdAt),
  machine: machinePhrase(result),
  device: gpu === null ? 'not known' : `${gpu.name}, ${gpu.driver}${gpu.software ? ', in software' : ''}`,
  node: machine.node,
  'client threads': result.client.workers,
  'client self-check': client.selfCheck ?? 'left out',
  'client in the runs': client.runs ?? 'not known',
  'plan hash': result.planHash,
})}
${result.targets.map(
  (target) =>
    html`<h3>Target ${target.arm === undefined ? `${target.id}: ` : ''}${targetPhrase(result, target)}</h3>${facts({ url: target.url, model: target.model, ...target.server })}`,
)}
<details><summary>The scenario as it was run${result.scenario.file === null ? '' : ` (${result.scenario.file})`}</summary><pre>${stringify(result.scenario.resolved)}</pre></details>
</section>`;
}
