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
import { closeUpOf, closeUpSpecs } from '../charts/close-up.ts';
import { costGroup } from '../charts/cost.ts';
import { distributionGroup, distributionSpecs, distributionsOf } from '../charts/distributions.ts';
import { exploreOf, exploreSpecs, NUMBERED } from '../charts/explore.ts';
import { histogramsOf } from '../charts/histograms.ts';
import { percentileGroups } from '../charts/percentiles.ts';
import { drawCharts } from '../charts/render.ts';
import { stepTimeGroup } from '../charts/step-time.ts';
import { markOf } from '../charts/theme.ts';
import { tradeOffGroup } from '../charts/trade-off.ts';
import type { PageData } from '../page/page-data.ts';
import { type Panel, panelsOf } from '../panels.ts';
import { sloOf } from '../slo.ts';
import { stepTimes } from '../step-time.ts';
import { groupMarkup } from './chart-sections.ts';
import { closeUpSection } from './close-up-section.ts';
import { cellsSection, environmentSection, glossarySection } from './details.ts';
import { distributionsSection } from './distributions-section.ts';
import { exactSection } from './exact-section.ts';
import { exploreSection } from './explore-section.ts';
import { html, type Markup, trusted } from './markup.ts';
import { packedBlock } from './packed.ts';
import { pageScript, pageStyle } from './page-files.ts';
import { answerSection, cardsMarkup, heading, trustSection } from './sections.ts';
import { contentSecurityPolicy } from './security.ts';
import { stepTimeSection } from './step-time-section.ts';
import { vegaBundle } from './vega-bundle.ts';
import { verdictSection } from './verdict-section.ts';

/** @param verdict of the gate that measured it; null where nothing was judged */
export async function htmlReport(result: Result, verdict: VerdictFile | null = null): Promise<string> {
  const slo = sloOf(result);
  const panels = panelsOf(result).map((panel) => ({
    panel,
    cost: costGroup(panel),
    latency: percentileGroups(panel),
    tradeOff: tradeOffGroup(panel, slo),
    distribution: distributionGroup(panel),
    histograms: histogramsOf(panel),
  }));

  const closeUp = closeUpOf(result);
  const times = stepTimes(result.cells, result.machine.gpu?.ceilings ?? null);
  const timeCharts = stepTimeGroup(times);
  const charts: Chart[] = panels.flatMap(({ cost, latency, tradeOff, distribution, histograms }) => [
    ...[cost, ...latency, tradeOff, distribution].flatMap((group) => group?.charts ?? []),
    ...histograms.flatMap((cell) => cell.charts.filter((chart): chart is Chart => 'spec' in chart)),
  ]);
  charts.push(...(timeCharts?.charts ?? []));
  if (closeUp !== null) charts.push(...closeUp.charts.map(({ chart }) => chart).filter(({ rows }) => rows.length > 0));
  const numbers = new Map(charts.map((chart, i) => [chart, i]));
  const numberOf = (chart: Chart): number => numbers.get(chart)!;
  const explore = exploreOf(
    result,
    panels.map(({ panel }) => panel),
  );
  const distributions = distributionsOf(
    result,
    panels.map(({ panel }) => panel),
  );
  const drawings = await drawCharts(charts, {
    ...(explore === null ? {} : exploreSpecs()),
    ...(distributions === null ? {} : distributionSpecs()),
    ...(closeUp === null ? {} : closeUpSpecs()),
  });

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
  const distribution = distributionsSection(
    panels.map(({ panel, distribution: group, histograms }) => ({ panel, group, histograms })),
    drawings,
    numberOf,
  );

  const steps = stepTimeSection(
    result,
    times,
    timeCharts === null ? null : groupMarkup(timeCharts, drawings, numberOf, true),
  );
  const counted = exactSection(result);
  const body = html`<main>
${heading(result)}
${verdict === null ? null : verdictSection(verdict)}
${trustSection(result)}
<nav aria-label="Contents"><a href="#answer">The answer</a>${panelLinks}<a href="#distributions">Distributions</a>${explore === null ? null : html`<a href="#explore" class="scripted" hidden>Explore</a>`}${closeUp === null ? null : html`<a href="#close-up">Up close</a>`}<a href="#cells">Every cell</a>${steps === null ? null : html`<a href="#steps">A step’s time</a>`}${counted === null ? null : html`<a href="#counted">Counted work</a>`}<a href="#words">What the figures mean</a><a href="#environment">Where and how</a></nav>
${answerSection(
  result,
  panels.map(({ panel }) => panel),
)}
${panelSections}
${distribution}
${explore === null ? null : exploreSection()}
${closeUp === null ? null : closeUpSection(closeUp, drawings, numberOf)}
${cellsSection(result)}
${steps}
${counted}
${glossarySection()}
${environmentSection(result)}
<footer><button type="button" id="save" class="scripted" hidden>Save result.json</button><button type="button" id="theme" class="scripted" hidden>Dark</button><span>Written by ${result.tool.name} ${result.tool.version}. This page holds the whole result and loads nothing.</span></footer>
</main>`;
  const { templates, live } = drawings;
  // The last ones, which the section's own script draws.
  const own = new Set(closeUp?.charts.map(({ chart }) => chart));
  return document(result, body, {
    templates,
    live,
    drawings: charts
      .filter((chart) => !own.has(chart))
      .map((chart, i) => ({
        template: drawings.drawings[i]!.template,
        rows: chart.rows,
        columns: chart.columns ?? {},
        name: nameOf(chart, i),
      })),
    marks: Object.fromEntries(NUMBERED.map((entry) => [entry.series, markOf(entry)])),
    explore,
    distributions,
    closeUp: closeUp?.data ?? null,
  });
}

/** Of the file that holds a chart's data; the number tells apart what has one title. */
const nameOf = ({ title }: Chart, i: number): string =>
  `${title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')}-${i + 1}`;

const CHARTS_TITLE = 'Cost, latency and throughput';

/** Words get a capital; a model's name stays as it is. */
const titleOf = (panel: Panel): string =>
  /^(?:target|rank|weights|output|closed|open) /.test(panel.label)
    ? `${panel.label[0]!.toUpperCase()}${panel.label.slice(1)}`
    : panel.label;

async function document(result: Result, body: Markup, data: PageData): Promise<string> {
  const [vega, script, style] = [await vegaBundle(), pageScript(), pageStyle()];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentSecurityPolicy([vega, script], [style])}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${result.scenario.name} · lorabench</title>
<style>${trusted(style)}</style>
</head>
<body>
${body}
${packedBlock('data', data)}
${packedBlock('result', result)}
<script>${trusted(vega)}</script>
<script>${trusted(script)}</script>
</body>
</html>
`.text;
}
