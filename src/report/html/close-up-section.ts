/**
 * One run up close: its timeline, its adapters, its slowest requests. In: the charts of the run that is shown at first, and its data.
 * Out: markup. ../page/close-up.js puts other runs in.
 */
import type { Chart } from '../charts/chart.ts';
import type { CloseUp, RunChart } from '../charts/close-up.ts';
import type { Drawings } from '../charts/render.ts';
import { figure, NONE } from '../numbers.ts';
import { legendMarkup, type NumberOf } from './chart-sections.ts';
import { html, type Markup, trusted } from './markup.ts';
import { tableMarkup } from './sections.ts';

const GROUPS: readonly { title: string; lead: string; wide: boolean; of: (key: string) => boolean }[] = [
  {
    title: 'Second by second',
    lead: 'What is shaded is not counted in latencies: before the load was steady, and after the last request was sent.',
    wide: false,
    of: (key) => !/^(?:adapters-|waterfall$)/.test(key),
  },
  {
    title: 'Adapter by adapter',
    lead: 'Each adapter’s requests by themselves. Where all are served alike, the points lie on one line.',
    wide: false,
    of: (key) => key.startsWith('adapters-'),
  },
  {
    title: 'Its slowest requests',
    lead: 'Those that took longest until their end or until their first token. Queue, wait for the adapter and prefill are the server’s own words, where it has any; what they leave is “to the first token”.',
    wide: true,
    of: (key) => key === 'waterfall',
  },
];

export function closeUpSection(closeUp: CloseUp, drawings: Drawings, numberOf: NumberOf): Markup {
  return html`<section id="close-up"><h2>One run up close</h2><p class="lead" id="close-up-place">${closeUp.place}.</p><div class="controls scripted" hidden></div>
${GROUPS.map(({ title, lead, wide, of }) => {
  const charts = closeUp.charts.filter((one) => of(one.of.key));
  const empty = charts.every(({ chart }) => chart.rows.length === 0);
  return html`<div class="group"${empty ? html` hidden` : null}><h3>${title}</h3><p class="lead">${lead}</p>
<div class="${wide ? 'charts wide' : 'charts'}">${charts.map(({ of: kind, chart }) => figureMarkup(kind, chart, drawings, numberOf))}</div>
<details class="numbers"><summary>The numbers in these charts</summary>${charts.map(({ of: kind, chart }) => numbersMarkup(kind, chart))}</details></div>`;
})}</section>`;
}

function figureMarkup(kind: RunChart, chart: Chart, drawings: Drawings, numberOf: NumberOf): Markup {
  const drawn = chart.rows.length === 0 ? null : trusted(drawings.drawings[numberOf(chart)]!.svg);
  return html`<figure data-figure="${kind.key}"${drawn === null ? html` hidden` : null}><figcaption><b>${chart.title}</b> <span>${chart.unit}</span></figcaption>${kind.legend.length === 0 ? null : legendMarkup(kind.legend, (entry) => !isIn(chart, entry.series))}<div class="plot" data-close="${kind.key}" role="img" aria-label="${chart.label}">${drawn}</div></figure>`;
}

/** Of a legend that all runs share, what this run has. */
const isIn = ({ rows }: Chart, series: string): boolean =>
  rows.some((row) => row['series'] === series || row['part'] === series);

/** As they are saved: a column for each field that a row may have. */
function numbersMarkup(kind: RunChart, { title, rows, columns = {} }: Chart): Markup {
  const fields = Object.keys(columns).filter((field) => rows.some((row) => row[field] !== undefined));
  const text = (value: unknown): string =>
    value === undefined || value === null ? NONE : typeof value === 'number' ? figure(value) : String(value);
  const table = {
    columns: fields.map((field) => columns[field]!),
    rows: rows.map((row) => fields.map((field) => text(row[field]))),
  };
  return html`<div data-numbers="${kind.key}">${rows.length === 0 ? null : tableMarkup(table, title)}</div>`;
}
