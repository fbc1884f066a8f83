/**
 * A comparison as one HTML page that needs nothing else, no script included. In: a Comparison. Out: the page: for each cell how its
 * latencies shifted from p50 to p99.9, and every figure in a table.
 */
import type { Chart, Row, Spec } from '../charts/chart.ts';
import { drawCharts } from '../charts/render.ts';
import { CHART_SIZE, CONFIG, seriesColor, shapeOf } from '../charts/theme.ts';
import { html, type Markup, trusted } from '../html/markup.ts';
import { pageStyle } from '../html/page-files.ts';
import { tableMarkup } from '../html/sections.ts';
import { contentSecurityPolicy } from '../html/security.ts';
import type { ComparedCell, Comparison } from './comparison.ts';
import { saysNothing } from './ratio.ts';
import { cellRows, cellTitle, HEADS, LEGEND, lostText, rowOf, sidesLines, textsOf } from './rows.ts';

const SHIFTED = ['ttft', 'tpot', 'e2e'] as const;
const NAMES = { ttft: 'TTFT', tpot: 'TPOT', e2e: 'E2E' } as const;
const QUANTILES = { p50: 'p50', p90: 'p90', p95: 'p95', p99: 'p99', p999: 'p99.9' } as const;

export async function comparisonHtml(comparison: Comparison): Promise<string> {
  const charts = comparison.cells.map((cell) => SHIFTED.flatMap((metric, i) => shiftChart(cell, metric, i) ?? []));
  const { drawings } = await drawCharts(charts.flat());
  let next = 0;
  const figures = charts.map((of) =>
    of.map(
      (chart) =>
        html`<figure><figcaption><b>${chart.title}</b> <span>${chart.unit}</span></figcaption><div class="plot" role="img" aria-label="${chart.label}">${trusted(drawings[next++]!.svg)}</div></figure>`,
    ),
  );
  const body = html`<main>
<header class="top"><p class="brand">lorabench</p><h1>Comparison</h1>${sidesLines(comparison).map((line) => html`<p>${line}</p>`)}<p>${LEGEND}</p></header>
${comparison.notes.length === 0 ? null : html`<section class="trust"><div class="notice care"><span class="mark" aria-hidden="true">!</span><div><h2>To know</h2><ul>${comparison.notes.map((note) => html`<li>${note}</li>`)}</ul></div></div></section>`}
${comparison.cells.map((cell, i) => cellSection(cell, figures[i] ?? []))}
<footer><span>Bars are 95 % intervals; a hollow point is a bound, since requests failed. This page loads nothing.</span></footer>
</main>`;
  const style = pageStyle();
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentSecurityPolicy([], [style])}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Comparison · lorabench</title>
<style>${trusted(style)}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}

function cellSection(cell: ComparedCell, figures: readonly Markup[]): Markup {
  const table = { columns: [...HEADS], rows: cellRows(cell).map(textsOf) };
  const lost = lostText(cell);
  return html`<section><h2>${cellTitle(cell)}</h2>${lost === '' ? null : html`<p>${lost}</p>`}
<div class="charts">${figures}</div>
${tableMarkup(table, `Every figure of ${cellTitle(cell)}`)}</section>`;
}

/** How much B differs at each quantile; null where fewer than two are known. */
function shiftChart(cell: ComparedCell, metric: (typeof SHIFTED)[number], index: number): Chart | null {
  const points = cell.figures.filter((one) => one.metric === metric && one.stat in QUANTILES && one.ratio !== null);
  if (points.length < 2) return null;
  const rows = points.map((point): Row => {
    const [low, high] = saysNothing(point.interval) ? [null, null] : (point.interval ?? [null, null]);
    return {
      quantile: QUANTILES[point.stat as keyof typeof QUANTILES],
      ratio: point.ratio,
      low,
      high,
      bound: point.atLeast.length > 0 ? 1 : 0,
    };
  });
  const words = points.map((point) => `${QUANTILES[point.stat as keyof typeof QUANTILES]} ${rowOf(point).change}`);
  const title = `${NAMES[metric]} shift`;
  return { title, unit: 'B / A', spec: shiftSpec(index), rows, label: `${title} by quantile: ${words.join(', ')}.` };
}

function shiftSpec(index: number): Spec {
  const color = { value: seriesColor(index + 1) };
  const x = { field: 'quantile', type: 'ordinal', sort: null, title: 'quantile', axis: { labelAngle: 0 } } as const;
  const y = (field: string) => ({ field, type: 'quantitative', title: 'B / A', scale: { zero: false } }) as const;
  return {
    ...CHART_SIZE,
    config: CONFIG,
    layer: [
      { mark: { type: 'rule', strokeDash: [4, 4] }, encoding: { y: { datum: 1 }, color: { value: 'var(--axis)' } } },
      { mark: { type: 'rule', strokeWidth: 2 }, encoding: { x, y: y('low'), y2: { field: 'high' }, color } },
      { mark: { type: 'line' }, encoding: { x, y: y('ratio'), color } },
      {
        // What is only a bound is hollow.
        mark: { type: 'point', size: 60, shape: shapeOf(index + 1), strokeWidth: 2 },
        encoding: {
          x,
          y: y('ratio'),
          color,
          fill: { condition: { test: 'datum.bound === 0', ...color }, value: 'transparent' },
        },
      },
    ],
  } as Spec;
}
