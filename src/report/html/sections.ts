/**
 * The report's parts above and below the charts: heading, trust, the answer, the table of cells, and the small print.
 *
 * A result (or something already worked out from it) in, markup out. Every number comes by `values.ts`, every sentence
 * by `words.ts` and `trust.ts`.
 */
import type { Result } from '../../result/schema.ts';
import { answerOf, bestCell, type Card, largestSeries } from '../answer.ts';
import type { Table } from '../charts/chart.ts';
import { COSTS, costTitle } from '../charts/cost.ts';
import { costOf, costText } from '../costs.ts';
import { isCompared, loadText, type Panel } from '../panels.ts';
import { standInNotice, trustOf } from '../trust.ts';
import { cellFigure, figureText } from '../values.ts';
import {
  adaptersPhrase,
  datePhrase,
  lengthsPhrase,
  loadPhrase,
  machinePhrase,
  modelsOf,
  targetPhrase,
} from '../words.ts';
import { html, type Markup } from './markup.ts';

export function heading(result: Result): Markup {
  const targets = [...new Set(result.targets.map((target) => targetPhrase(result, target)))];
  return html`<header class="top">
<p class="brand">lorabench <span>${result.scenario.name} · <time datetime="${result.createdAt}">${datePhrase(result.createdAt)}</time></span></p>
<h1>${result.scenario.description ?? result.scenario.name}</h1>
<dl class="facts">
<div><dt>Model</dt><dd>${modelsOf(result).join(', ')}</dd></div>
<div><dt>Adapters</dt><dd>${adaptersPhrase(result)}</dd></div>
<div><dt>Load</dt><dd>${loadPhrase(result)}; ${lengthsPhrase(result)}</dd></div>
<div><dt>Served by</dt><dd>${targets.join('; ')}</dd></div>
<div><dt>Machine</dt><dd>${machinePhrase(result)}</dd></div>
</dl>
</header>`;
}

const LEVEL_MARK = { good: '✓', care: '!', bad: '✕' } as const;

/** Reasons that fit on the first screen; the rest unfold. */
const REASONS_SHOWN = 4;

export function trustSection(result: Result): Markup {
  const trust = trustOf(result);
  const standIn = standInNotice(result);
  const shown = trust.reasons.slice(0, REASONS_SHOWN);
  const rest = trust.reasons.slice(REASONS_SHOWN);
  const list = (reasons: string[]): Markup => html`<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`;
  return html`<section class="trust" aria-label="Can this be trusted?">
${
  standIn === null
    ? null
    : html`<div class="notice standin"><span class="mark" aria-hidden="true">≈</span><div><h2>${standIn.headline}</h2><p>${standIn.text}</p></div></div>`
}
<div class="notice ${trust.level}"><span class="mark" aria-hidden="true">${LEVEL_MARK[trust.level]}</span><div><h2>${trust.headline}</h2>
${shown.length > 0 ? list(shown) : null}
${rest.length > 0 ? html`<details><summary>${rest.length} more</summary>${list(rest)}</details>` : null}
</div></div>
</section>`;
}

export function tableMarkup(table: Table, caption: string): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table><caption class="unseen">${caption}</caption><thead><tr>${table.columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead><tbody>
${table.rows.map((row) => html`<tr>${row.map((text, i) => (i === 0 ? html`<th scope="row">${text}</th>` : html`<td>${text}</td>`))}</tr>\n`)}</tbody></table></div>`;
}

export const cardsMarkup = (cards: readonly Card[]): Markup => html`<div class="cards">
${cards.map(
  (
    card,
  ) => html`<article class="card"><h3>${card.title}</h3><p class="figure">${card.headline}</p>${card.interval === '' ? null : html`<p class="interval">${card.interval}</p>`}<p class="caption">${card.caption}</p>
<table><thead><tr>${card.columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead><tbody>${card.rows.map((row) => html`<tr>${row.map((text, i) => (i === 0 ? html`<th scope="row">${text}</th>` : html`<td>${text}</td>`))}</tr>`)}</tbody></table></article>
`,
)}</div>`;

/** Cards first; several panels also have a line each, since different models or ranks are not to be mixed in one figure. */
export function answerSection(result: Result, panels: readonly Panel[]): Markup {
  const about = result.standIn === null ? '' : ', for the stand-in';
  if (panels.length === 0) return html``;
  const table = panels.length === 1 || isCompared(result) ? null : tableMarkup(comparison(panels), 'The answer');
  return html`<section id="answer"><h2>The answer${about}</h2>${cardsMarkup(answerOf(result, panels))}${table}</section>`;
}

function comparison(panels: readonly Panel[]): Table {
  const columns = ['', 'adapters', 'load', ...COSTS.map((kind) => `${costTitle(kind)} (× base)`), 'best tok/s'];
  const rows = panels.map((panel) => {
    const series = largestSeries(panel);
    const busiest = series?.cells.at(-1);
    const best = bestCell(panel, 'output_tokens_per_second');
    return [
      panel.label,
      series?.label ?? 'base',
      busiest === undefined ? '–' : loadText(panel.loadKind, busiest.at.concurrency ?? busiest.at.rate ?? 0),
      ...COSTS.map(({ metric, stat }) =>
        busiest === undefined ? '–' : costText(costOf(panel, busiest, metric, stat)),
      ),
      best === null ? '–' : figureText(cellFigure(best.cell, 'output_tokens_per_second', 'value')),
    ];
  });
  return { columns, rows };
}
