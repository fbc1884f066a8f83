/**
 * TTFT, ITL, E2E and throughput histograms of every cell, from the HDR data.
 *
 * A panel in; for each of its cells four charts out, or the reason why one is missing. All cells of a panel share bin
 * edges, so that a distribution that moved can be seen to have moved. Lines mark p50 and p99 as the tables give them.
 */
import type { CellResult } from '../../result/schema.ts';
import { METRIC_NAMES } from '../metric-names.ts';
import { countText, figure, plural, shareText } from '../numbers.ts';
import { loadOf, loadText, type Panel, type Series } from '../panels.ts';
import { cellFigure, figureRuns, figureText } from '../values.ts';
import type { Chart, Row, Spec } from './chart.ts';
import { type Bins, binsOf, type Counts, fillBins, mergedCounts } from './histogram-bins.ts';
import { PLAIN } from './lines.ts';
import { CONFIG, HISTOGRAM_SIZE, seriesColor } from './theme.ts';

const KINDS = [
  { metric: 'ttft', factor: 1e-6, unit: 'ms', of: 'request', whole: false },
  { metric: 'itl', factor: 1e-6, unit: 'ms', of: 'token', whole: false },
  { metric: 'e2e', factor: 1e-6, unit: 'ms', of: 'request', whole: false },
  { metric: 'output_tokens_per_second', factor: 1, unit: 'tokens in a second', of: 'second', whole: true },
] as const;

type Kind = (typeof KINDS)[number];

export interface CellHistograms {
  cell: CellResult;
  series: Series;
  /** "8 adapters, concurrency 4". */
  place: string;
  /** TTFT, ITL, E2E, throughput, in this order. */
  charts: (Chart | { title: string; reason: string })[];
}

interface Decoded {
  counts: Counts;
  reason: string | null;
}

function decode(cell: CellResult, { metric }: Kind): Decoded {
  const encoded: string[] = [];
  let reason: string | null = null;
  for (const run of figureRuns(cell)) {
    const value = run.metrics[metric];
    if (value !== undefined && 'hdr' in value && value.hdr) encoded.push(value.hdr);
    else
      reason ??= value !== undefined && 'reason' in value ? value.reason : 'the measured window holds no whole second';
  }
  const counts = mergedCounts(encoded);
  return { counts, reason: counts.length > 0 ? null : (reason ?? 'no samples') };
}

function sharedBins(all: Decoded[], kind: Kind): Bins | null {
  const filled = all.filter((one) => one.counts.length > 0);
  if (filled.length === 0) return null;
  const low = Math.min(...filled.map((one) => one.counts[0]![0]));
  const high = Math.max(...filled.map((one) => one.counts.at(-1)![0]));
  return binsOf(low * kind.factor, high * kind.factor, kind.whole);
}

function spec(bins: Bins, kind: Kind, color: number, marks: boolean): Spec {
  const domain = [bins.edges[0]!, bins.edges.at(-1)!];
  const x = {
    field: 'from',
    type: 'quantitative',
    scale: { type: bins.scale, domain, nice: false, zero: false },
    axis: { title: kind.unit, labelExpr: PLAIN, tickCount: 6 },
  };
  const share = {
    field: 'share',
    type: 'quantitative',
    scale: { zero: true, nice: true },
    axis: { title: `share of ${kind.of}s`, format: '.0%', tickCount: 3 },
  };
  const bars = {
    transform: [{ filter: 'datum.share != null' }],
    mark: { type: 'rect', color: seriesColor(color), stroke: 'var(--card)', strokeWidth: 0.5 },
    encoding: { x, x2: { field: 'to' }, y: share, y2: { datum: 0 }, tooltip: { field: 'tip' } },
  };
  const isMark = { filter: 'datum.at != null' };
  const at = { ...x, field: 'at' };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    ...HISTOGRAM_SIZE,
    autosize: { type: 'fit', contains: 'padding' },
    layer: marks
      ? [
          bars,
          {
            transform: [isMark],
            mark: { type: 'rule', color: 'var(--ink)', strokeDash: [4, 3] },
            encoding: { x: at, tooltip: { field: 'tip' } },
          },
          // Outwards from each other, so that two marks close together stay readable.
          ...(['p50', 'p99'] as const).map((name) => ({
            transform: [{ filter: `datum.name === '${name}'` }],
            mark: {
              type: 'text',
              baseline: 'bottom',
              align: name === 'p50' ? 'right' : 'left',
              dx: name === 'p50' ? 3 : -3,
              dy: -3,
              fontSize: 11,
              color: 'var(--ink)',
            },
            encoding: { x: at, y: { value: 0 }, text: { field: 'name' } },
          })),
        ]
      : [bars],
    config: CONFIG,
  } as unknown as Spec; // vega-lite's type is a union too deep for literals built in pieces; compiling checks it
}

function marksOf(cell: CellResult, kind: Kind, bins: Bins): Row[] {
  return (['p50', 'p99'] as const).flatMap((name) => {
    const shown = cellFigure(cell, kind.metric, name);
    const inside = shown.value !== null && shown.value >= bins.edges[0]! && shown.value <= bins.edges.at(-1)!;
    if (!inside || shown.above) return [];
    return [{ at: shown.value, name, tip: `${name} ${figureText(shown)} ${kind.unit}` }];
  });
}

const titleOf = (kind: Kind): string =>
  kind.metric === 'output_tokens_per_second' ? 'Throughput' : METRIC_NAMES[kind.metric].short;

function chartOf(
  cell: CellResult,
  place: string,
  kind: Kind,
  color: number,
  bins: Bins,
  filled: number[],
  drawMarks: boolean,
): Chart {
  const total = filled.reduce((sum, count) => sum + count, 0);
  const rows: Row[] = filled.flatMap((count, i) => {
    if (count === 0) return [];
    const [from, to] = [bins.edges[i]!, bins.edges[i + 1]!];
    const share = count / total;
    const tip = `${figure(from)} to ${figure(to)} ${kind.unit}: ${countText(count)} of ${plural(total, kind.of)} (${shareText(share)})`;
    return [{ from, to, count, share, tip }];
  });
  const marks = drawMarks ? marksOf(cell, kind, bins) : [];
  const figures =
    kind.whole === true
      ? `mean of the measured window ${figureText(cellFigure(cell, kind.metric, 'value'))} tokens per second`
      : `p50 ${figureText(cellFigure(cell, kind.metric, 'p50'))} ms, p99 ${figureText(cellFigure(cell, kind.metric, 'p99'))} ms`;
  return {
    title: titleOf(kind),
    unit: `${plural(total, kind.of)}`,
    spec: spec(bins, kind, color, drawMarks),
    rows: [...rows, ...marks],
    columns: {
      from: `from (${kind.unit})`,
      to: `to (${kind.unit})`,
      count: `${kind.of}s`,
      share: 'share',
      name: 'mark',
      at: 'at',
    },
    label: `Histogram of ${titleOf(kind)} for ${place}: ${plural(total, kind.of)}, ${figures}.`,
  };
}

export function histogramsOf(panel: Panel): CellHistograms[] {
  const places = panel.series.flatMap((series) => series.cells.map((cell) => ({ series, cell })));
  const decoded = KINDS.map((kind) => places.map(({ cell }) => decode(cell, kind)));
  const bins = KINDS.map((kind, k) => sharedBins(decoded[k]!, kind));
  return places.map(({ series, cell }, i) => {
    const place = `${series.label}, ${loadText(panel.loadKind, loadOf(cell.at))}`;
    const charts = KINDS.map((kind, k): CellHistograms['charts'][number] => {
      const { counts, reason } = decoded[k]![i]!;
      const edges = bins[k];
      if (reason !== null || edges === null || edges === undefined) {
        return { title: titleOf(kind), reason: reason ?? 'no samples' };
      }
      const filled = fillBins(counts, edges.edges, kind.factor);
      return chartOf(cell, place, kind, series.color, edges, filled, kind.whole === false);
    });
    return { cell, series, place, charts };
  });
}
