/**
 * A result as one HTML page that needs nothing else: no network, no server, and no JavaScript to be read.
 *
 *   result --> panels --> charts --> drawings (SVG + specs) --> markup --> policy --> page
 *
 * The page carries its style, vega, one script of its own, the charts' data, and the whole result.
 */
import type { VerdictFile } from '../../gate/verdict-file.ts';
import type { Result } from '../../result/schema.ts';
import { cardsOf } from '../answer.ts';
import type { Chart } from '../charts/chart.ts';
import { costGroup } from '../charts/cost.ts';
import { histogramsOf } from '../charts/histograms.ts';
import { percentileGroups } from '../charts/percentiles.ts';
import { drawCharts } from '../charts/render.ts';
import { tradeOffGroup } from '../charts/trade-off.ts';
import { type Panel, panelsOf } from '../panels.ts';
import { BROWSER_SCRIPT } from './browser.ts';
import { groupMarkup, histogramsMarkup } from './chart-sections.ts';
import { cellsSection, environmentSection, glossarySection } from './details.ts';
import { html, jsonForScript, type Markup, trusted } from './markup.ts';
import { answerSection, cardsMarkup, heading, trustSection } from './sections.ts';
import { contentSecurityPolicy } from './security.ts';
import { stepTimeSection } from './step-time-section.ts';
import { STYLE } from './style.ts';
import { vegaBundle } from './vega-bundle.ts';
import { verdictSection } from './verdict-section.ts';

/** @param verdict of the gate that measured it; null where nothing was judged */
export async function htmlReport(result: Result, verdict: VerdictFile | null = null): Promise<string> {
  const panels = panelsOf(result).map((panel) => ({
    panel,
    cost: costGroup(panel),
    latency: percentileGroups(panel),
    tradeOff: tradeOffGroup(panel),
    histograms: histogramsOf(panel),
  }));

  const charts: Chart[] = panels.flatMap(({ cost, latency, tradeOff, histograms }) => [
    ...[cost, ...latency, tradeOff].flatMap((group) => group?.charts ?? []),
    ...histograms.flatMap((cell) => cell.charts.filter((chart): chart is Chart => 'spec' in chart)),
  ]);
  const numbers = new Map(charts.map((chart, i) => [chart, i]));
  const numberOf = (chart: Chart): number => numbers.get(chart)!;
  const drawings = await drawCharts(charts);

  const several = panels.length > 1;
  const panelSections = panels.flatMap(({ panel, cost, latency, tradeOff }) => {
    const groups = [cost, ...latency, tradeOff].filter((group) => group !== null);
    // A single cell has nothing to draw against: its cards and histograms say it all.
    if (groups.length === 0 && !several) return [];
    return html`<section id="${panel.id}"><h2>${several ? titleOf(panel) : CHARTS_TITLE}</h2>
${several ? cardsMarkup(cardsOf(panel)) : null}
${groups.map((group) => groupMarkup(group, drawings, numberOf))}</section>`;
  });
  const panelLinks = panels
    .slice(0, panelSections.length)
    .map(({ panel }) => html`<a href="#${panel.id}">${several ? titleOf(panel) : 'Charts'}</a>`);
  const histogramSections = panels.map(
    ({ panel, histograms }) =>
      html`${several ? html`<h3>${panel.label}</h3>` : null}${histogramsMarkup(histograms, drawings, numberOf)}`,
  );

  const steps = stepTimeSection(result);
  const body = html`<main>
${heading(result)}
${verdict === null ? null : verdictSection(verdict)}
${trustSection(result)}
<nav aria-label="Contents"><a href="#answer">The answer</a>${panelLinks}<a href="#cells">Every cell</a>${steps === null ? null : html`<a href="#steps">A step’s time</a>`}<a href="#histograms">Histograms</a><a href="#words">What the figures mean</a><a href="#environment">Where and how</a></nav>
${answerSection(
  result,
  panels.map(({ panel }) => panel),
)}
${panelSections}
${cellsSection(result)}
${steps}
<section id="histograms"><h2>Histograms of every cell</h2><p class="lead">All cells share an axis, so that a distribution that moved can be seen to have moved. Dashed lines mark p50 and p99.</p>
${histogramSections}</section>
${glossarySection()}
${environmentSection(result)}
<footer><button type="button" id="save" hidden>Save result.json</button><span>Written by ${result.tool.name} ${result.tool.version}. This page holds the whole result and loads nothing.</span></footer>
</main>`;
  return document(result, body, {
    templates: drawings.templates,
    drawings: drawings.drawings.map(({ template, rows }) => ({ template, rows })),
  });
}

const CHARTS_TITLE = 'Cost, latency and throughput';

/** Words get a capital; a model's name stays as it is. */
const titleOf = (panel: Panel): string =>
  /^(?:target|rank|weights|output|closed|open) /.test(panel.label)
    ? `${panel.label[0]!.toUpperCase()}${panel.label.slice(1)}`
    : panel.label;

async function document(result: Result, body: Markup, charts: unknown): Promise<string> {
  const vega = await vegaBundle();
  const policy = contentSecurityPolicy([vega, BROWSER_SCRIPT], [STYLE]);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${result.scenario.name} · lorabench</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
${body}
<script type="application/json" id="charts">${jsonForScript(charts)}</script>
<script type="application/json" id="result">${jsonForScript(result)}</script>
<script>${trusted(vega)}</script>
<script>${trusted(BROWSER_SCRIPT)}</script>
</body>
</html>
`.text;
}
