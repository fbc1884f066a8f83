/**
 * Charts on the page: groups with their legend and table, and the histograms of every cell.
 *
 * Chart groups and their drawings in, markup out. A drawing is static SVG inside a labelled image; the script in
 * `browser.ts` replaces it by its number in `data-chart`.
 */
import type { CellResult } from '../../result/schema.ts';
import type { Chart, ChartGroup, LegendEntry } from '../charts/chart.ts';
import type { CellHistograms } from '../charts/histograms.ts';
import type { Drawings } from '../charts/render.ts';
import { markOf } from '../charts/theme.ts';
import { html, type Markup, trusted } from './markup.ts';
import { tableMarkup } from './sections.ts';

/** A cell's place on the page: two targets have cells of one id. */
export const anchorOf = ({ target, id }: Pick<CellResult, 'target' | 'id'>): string => `cell-${target}-${id}`;

/** Hands out a chart's number on the page. */
export type NumberOf = (chart: Chart) => number;

const attributes = (all: Record<string, string>): Markup =>
  html`${Object.entries(all).map(([name, value]) => html` ${trusted(name)}="${value}"`)}`;

export const legendMarkup = (
  entries: readonly LegendEntry[],
  isHidden: (entry: LegendEntry) => boolean = () => false,
): Markup =>
  html`<ul class="legend">${entries.map(
    (entry) =>
      html`<li data-series="${entry.series}"${isHidden(entry) ? html` hidden` : null}><svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><path${attributes(markOf(entry))}/></svg>${entry.series}</li>`,
  )}</ul>`;

export function figureMarkup(chart: Chart, drawings: Drawings, numberOf: NumberOf): Markup {
  const number = numberOf(chart);
  return html`<figure><figcaption><b>${chart.title}</b> <span>${chart.unit}</span></figcaption><div class="plot" data-chart="${number}" role="img" aria-label="${chart.label}">${trusted(drawings.drawings[number]!.svg)}</div></figure>`;
}

const BARS: Record<string, string> = {
  runs: 'Vertical bars span the runs of a cell.',
  'within the run': 'Vertical bars are 99 % intervals within the run, which say nothing of how much runs differ.',
  pairs: 'Vertical bars are 95 % intervals, by pairs of runs.',
  'within two runs': 'Vertical bars are what one run of each can tell, which says nothing of how much runs differ.',
};

/** Explains the marks that these charts have, and no others. */
function marksIn({ charts, legend }: ChartGroup): string[] {
  const rows = charts.flatMap((chart) => chart.rows);
  const has = (field: string): boolean => rows.some((row) => row[field] !== undefined);
  return [
    ...Object.entries(BARS).flatMap(([of, text]) => (rows.some(({ bars }) => bars === of) ? [text] : [])),
    ...(has('bounded') ? ['An arrow marks a figure that is only a lower bound: it fell among failed requests.'] : []),
    ...(has('doubtful') ? ['A crossed point is of a run that is not valid, or in part the client’s own time.'] : []),
    ...(legend.some(({ dash }) => dash) ? ['Dashed and hollow is target B.'] : []),
  ];
}

/** @param wide one chart a line */
export function groupMarkup(group: ChartGroup, drawings: Drawings, numberOf: NumberOf, wide = false): Markup {
  return html`<section class="group"><h3>${group.title}</h3><p class="lead">${[group.lead, ...marksIn(group)].join(' ')}</p>${legendMarkup(group.legend)}
<div class="${wide ? 'charts wide' : 'charts'}">${group.charts.map((chart) => figureMarkup(chart, drawings, numberOf))}</div>
<details class="numbers"><summary>The numbers in these charts</summary>${tableMarkup(group.table, group.title)}</details></section>
`;
}

export function histogramsMarkup(cells: readonly CellHistograms[], drawings: Drawings, numberOf: NumberOf): Markup {
  return html`${cells.map(
    ({
      cell,
      place,
      charts,
    }) => html`<section class="cell" id="${anchorOf(cell)}"><h4>${place} <span>${cell.id}</span></h4>
<div class="charts">${charts.map((chart) =>
      'reason' in chart
        ? html`<figure><figcaption><b>${chart.title}</b></figcaption><p class="missing">No histogram: ${chart.reason}.</p></figure>`
        : figureMarkup(chart, drawings, numberOf),
    )}</div></section>
`,
  )}`;
}
