/**
 * Distributions on the page: each panel at its busiest load, any cells over each other by the reader's choice, and every cell by
 * itself. Chart groups and histograms with their drawings in, markup out.
 */
import type { ChartGroup } from '../charts/chart.ts';
import type { CellHistograms } from '../charts/histograms.ts';
import type { Drawings } from '../charts/render.ts';
import type { Panel } from '../panels.ts';
import { groupMarkup, histogramsMarkup, type NumberOf } from './chart-sections.ts';
import { html, type Markup } from './markup.ts';

export interface PanelDistributions {
  panel: Panel;
  group: ChartGroup | null;
  histograms: readonly CellHistograms[];
}

/** More than these are folded away: a page is read from the top. */
const CELLS_UNFOLDED = 8;

export function distributionsSection(
  panels: readonly PanelDistributions[],
  drawings: Drawings,
  numberOf: NumberOf,
): Markup {
  const several = panels.length > 1;
  const cells = panels.reduce((sum, { histograms }) => sum + histograms.length, 0);
  const groups = panels.flatMap(({ panel, group }) =>
    group === null
      ? []
      : [
          groupMarkup(
            { ...group, title: several ? `${group.title}: ${panel.label}` : group.title },
            drawings,
            numberOf,
          ),
        ],
  );
  const histograms = panels.map(
    (one) =>
      html`${several ? html`<h3>${one.panel.label}</h3>` : null}${histogramsMarkup(one.histograms, drawings, numberOf)}`,
  );
  return html`<section id="distributions"><h2>Distributions</h2>
${groups}
${picked}
<details class="print" id="histograms"${cells > CELLS_UNFOLDED ? null : html` open`}><summary>Histograms of every cell</summary><p class="lead">All cells share an axis, so that a distribution that moved can be seen to have moved. Dashed lines mark p50 and p99.</p>
${histograms}</details></section>`;
}

const picked = html`<div class="group scripted" id="overlay" hidden><h3>Any cells over each other</h3><p class="lead">Pick the cells. The tail counts from above, so that p99.9 is as far from p99 as this from p90.</p><div class="controls"></div><fieldset class="cells-picked"><legend>Cells</legend><div class="quick"></div><div class="boxes"></div></fieldset>
<figure><figcaption><b class="title"></b> <span class="held"></span></figcaption><ul class="legend"></ul><p class="missing" hidden></p>
<div class="plot" role="img" aria-label="The distributions of your choice"></div><p class="axis" aria-hidden="true"></p></figure>
<details class="numbers"><summary>The numbers in this chart</summary><div class="scroll table" tabindex="0" role="region" aria-label="Percentiles of the cells picked"></div></details></div>`;
